"""Behind PgBouncer and on a hot standby: the same answers."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest

from builders import experiment, run
from databases import Database
from postgres import Cluster, free_port
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR
from servers import ROOT

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@contextmanager
def pooled(cluster: Cluster, folder: Path, url: str) -> Iterator[str]:
    """Put PgBouncer in front of a database, as docs/deploy.md has it."""
    port, name = free_port(), url.rpartition("/")[2]
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^ *```ini\n(.*?)^ *```$", page, re.DOTALL | re.MULTILINE)
    parser = ConfigParser()
    parser.read_string(dedent(block))
    where = parser["databases"]["promptlooper"].replace("5432", str(cluster.port))
    parser["databases"] = {name: f"{where} user=postgres"}
    # The cluster asks for no password, and a small pool shows who keeps a session.
    parser["pgbouncer"].update(
        {
            "listen_port": str(port),
            "auth_type": "any",
            "auth_file": "",
            "default_pool_size": "2",
            "unix_socket_dir": "",
        }
    )
    settings = folder / "pgbouncer.ini"
    with settings.open("w") as file:
        parser.write(file)
    program = shutil.which("pgbouncer")
    assert program is not None, "apt-get install pgbouncer"
    command = [program, "--quiet", str(settings)]
    if os.geteuid() == 0:  # which it refuses to stay
        command.append("--user=nobody")
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    there = f"postgresql://postgres@127.0.0.1:{port}/{name}"
    try:
        wait_for(there)
        yield there
    finally:
        running.terminate()
        running.wait(20)


def wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
        else:
            return


def winners(url: str, database: Database) -> list[float]:
    """Ask before and after a commit, more often than the pooler has sessions."""
    loaded = experiment(run({"a": 0.5}), run({"a": 0.25}))
    database.load(loaded)
    found = []
    with closing(open_store(url)) as store:
        for value in (0.5, 0.75):
            database.execute("UPDATE scores SET value = ? WHERE value >= 0.5", value)
            for _ in range(6):
                with store.snapshot(OPERATOR) as moment:
                    found.append(moment.best(loaded.id).weighted_score)
                    assert moment.report(loaded.id, top_n=2).counts.scored == 2
                    assert len(list(moment.runs(loaded.id).rows)) == 2
    return found


def test_a_pooler_in_transaction_mode_changes_nothing(
    database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    with pooled(cluster, tmp_path, database.url) as url:
        assert winners(url, database) == [0.5] * 6 + [0.75] * 6


@pytest.fixture(scope="module")
def standby(cluster: Cluster) -> Iterator[int]:
    """Run a hot standby of the cluster; the port it listens on."""
    with cluster.standby() as port:
        yield port


def test_a_hot_standby_is_read_as_its_primary_is(
    database: Database, standby: int
) -> None:
    loaded = experiment(run({"a": 0.5}))
    database.load(loaded)
    url = f"postgresql://postgres@127.0.0.1:{standby}/{database.url.rpartition('/')[2]}"
    with closing(open_store(url)) as store:
        for value in (0.5, 0.75):
            database.execute("UPDATE scores SET value = ?", value)
            caught_up(database, url)
            with store.snapshot(OPERATOR) as moment:
                assert moment.best(loaded.id).weighted_score == value


def test_of_several_hosts_the_one_that_can_write_is_read(
    database: Database, cluster: Cluster, standby: int
) -> None:
    loaded = experiment(run({"a": 0.5}))
    database.load(loaded)
    hosts = f"127.0.0.1:{standby},127.0.0.1:{cluster.port}"
    url = f"postgresql://postgres@{hosts}/{database.url.rpartition('/')[2]}"
    with closing(open_store(f"{url}?target_session_attrs=read-write")) as store:
        # Only the primary keeps what was read.
        with store.snapshot(OPERATOR) as moment:
            moment.best(loaded.id)
            moment.keep(loaded.id, "key", b"value", 5)
        assert store.glance(OPERATOR).made(loaded.id, "key") == b"value"


def caught_up(database: Database, url: str) -> None:
    """Wait until a standby has replayed what was committed."""
    ((written,),) = database.execute("SELECT pg_current_wal_insert_lsn()::text")
    there = Database(kind="postgresql", url=url)
    end = time.monotonic() + 60
    while not there.execute("SELECT pg_last_wal_replay_lsn() >= ?::pg_lsn", written)[0][
        0
    ]:
        assert time.monotonic() < end
