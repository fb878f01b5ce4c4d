"""Exports that overlap do not keep SQLite's write-ahead log from starting over."""

import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.errors import DatabaseUnavailableError
from promptlooper_export.store import write_ahead_log
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR
from webservice import Service, problem, settings_for

LIMIT = 1 << 17
LONG = 60
"""Seconds that no test lasts."""


class Runner:
    """Writes to a database in WAL mode, one small commit after another."""

    def __init__(self, file: Path) -> None:
        self.log = Path(f"{file}-wal")
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA wal_autocheckpoint = 1")

    def commit(self) -> None:
        self._connection.execute("UPDATE experiments SET name = hex(randomblob(3000))")

    def fill(self) -> None:
        """Commit until the log is over the limit; somebody has to read meanwhile."""
        while self.log.stat().st_size < 2 * LIMIT:
            self.commit()

    def salts(self) -> bytes:
        """Return what changes whenever the log starts over."""
        return self.log.read_bytes()[16:24]

    def close(self) -> None:
        self._connection.close()


def new_runner(database: Database) -> Runner:
    return Runner(Path(database.url.removeprefix("sqlite:///")))


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "LIMIT_BYTES", LIMIT)
    monkeypatch.setattr(write_ahead_log, "WAIT_SECONDS", LONG)
    monkeypatch.setattr(write_ahead_log, "_RESTING_SECONDS", LONG)
    monkeypatch.setattr(write_ahead_log, "_ALONE_SECONDS", LONG)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'runs.db'}")
    migrate(made.url, create=True)
    made.load(experiment(run({"a": 0.5})))
    return made


@pytest.fixture
def runner(database: Database) -> Iterator[Runner]:
    with closing(new_runner(database)) as found:
        yield found


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with closing(open_store(database.url)) as found:
        yield found


def is_refused(store: Store, seconds: float = 0.05) -> bool:
    try:
        with store.snapshot(OPERATOR, deadline=time.monotonic() + seconds):
            return False
    except DatabaseUnavailableError as error:
        return "runs.db-wal is large" in error.detail


def test_snapshots_that_overlap_end_so_that_the_log_starts_over(
    runner: Runner, store: Store
) -> None:
    others: list[bytes] = []

    def look() -> None:
        with store.snapshot(OPERATOR):
            others.append(runner.salts())

    with store.snapshot(OPERATOR):
        runner.fill()
        before = runner.salts()
        waiting = [threading.Thread(target=look) for _ in range(3)]
        for thread in waiting:
            thread.start()
        runner.commit()
        assert is_refused(store)
        assert not others
    while not others:
        runner.commit()
    for thread in waiting:
        thread.join()
    assert before not in others
    largest = runner.log.stat().st_size
    for _ in range(100):
        runner.commit()
        assert not is_refused(store, LONG)
    assert runner.log.stat().st_size == largest


def test_a_request_that_waits_in_vain_may_try_again(
    monkeypatch: pytest.MonkeyPatch, database: Database, runner: Runner, store: Store
) -> None:
    monkeypatch.setattr(write_ahead_log, "WAIT_SECONDS", 0.05)
    service = Service(settings_for(database.url))
    with store.snapshot(OPERATOR):
        runner.fill()
        answer = service.ask("/experiments")
    problem(answer, 503, "database-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_client_that_does_not_read_holds_no_snapshot(
    database: Database, runner: Runner
) -> None:
    service = Service(settings_for(database.url))
    ((identity,),) = database.execute("SELECT id FROM experiments")
    answer = service.ask(f"/experiments/{identity}/export?format=csv")
    with closing(answer):
        assert answer.status_code == 200
        assert not answer.is_sequence  # the body is still to be read
        runner.commit()
        before = runner.salts()
        runner.commit()
        assert runner.salts() != before


def test_a_snapshot_in_another_worker_counts(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store
) -> None:
    forks = multiprocessing.get_context("fork")
    is_open = forks.Event()

    def work() -> None:
        with store.snapshot(OPERATOR):
            is_open.set()
            time.sleep(LONG)

    # SQLite's connections do not survive a fork, so none is open during it.
    with closing(new_runner(database)):
        pass
    worker = forks.Process(target=work)
    worker.start()
    assert is_open.wait(LONG)
    with closing(new_runner(database)) as runner:
        runner.fill()
        monkeypatch.setattr(write_ahead_log, "_ALONE_SECONDS", 0.2)
        assert is_refused(store, 0.3)
        worker.kill()
        worker.join()
        runner.commit()
        runner.commit()
        assert not is_refused(store, LONG)


def test_nobody_waits_while_the_runner_rests(runner: Runner, store: Store) -> None:
    with store.snapshot(OPERATOR):
        runner.fill()
        assert is_refused(store)
        an_hour_ago = time.time() - 3600
        os.utime(runner.log, (an_hour_ago, an_hour_ago))
        assert not is_refused(store, LONG)


def test_a_log_that_another_program_keeps_large_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, database: Database, runner: Runner, store: Store
) -> None:
    file = database.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM runs").fetchone()
        runner.fill()
        assert is_refused(store)
        monkeypatch.setattr(write_ahead_log, "_ALONE_SECONDS", 0.1)
        assert not is_refused(store, LONG)
        assert not is_refused(store, LONG)
