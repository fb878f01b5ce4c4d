"""What is kept is never older than the last commit before the question."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.errors import DatabaseUnavailableError
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

SECONDS = float(os.environ.get("FRESHNESS_SECONDS", "2"))

SWAP = """
ALTER TABLE scores RENAME TO scores_old;
CREATE TABLE scores (LIKE scores_old INCLUDING ALL);
INSERT INTO scores OVERRIDING SYSTEM VALUE SELECT * FROM scores_old;
DROP TABLE scores_old
"""
SWAP_SQLITE = """
CREATE TABLE scores_new (
    id INTEGER PRIMARY KEY, run_id CHAR(32), scorer_name TEXT, value REAL
);
INSERT INTO scores_new SELECT id, run_id, scorer_name, value FROM scores;
DROP TABLE scores;
ALTER TABLE scores_new RENAME TO scores
"""


@dataclass
class Writer:
    """Writes so that the best score is the number of the last commit."""

    database: Database
    experiment: UUID
    started: int = 1
    committed: int = 1
    pause: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    def write_until(self, end: float) -> None:
        try:
            with self._connection() as execute:
                chance = random.Random(self.started)  # noqa: S311  the same ones each time
                while time.monotonic() < end:
                    self._commit(execute, chance)
                    self.pause.wait(chance.random() / 100)
        except BaseException as error:  # noqa: BLE001  shown by the test
            self.failures.append(error)

    def _commit(self, execute: Callable[..., Any], chance: random.Random) -> None:
        is_kept = chance.random() < 0.9
        number = self.started + 1 if is_kept else 10**9
        if is_kept:
            self.started = number
        execute("BEGIN")
        chance.choice(self._steps())(execute, number)
        execute("COMMIT" if is_kept else "ROLLBACK")
        if is_kept:
            self.committed = number

    def _steps(self) -> list[Callable[..., None]]:
        common = [self._update, self._add_run, self._replace]
        return [*common * 8, self._swap, *self._of_postgresql()]

    def _of_postgresql(self) -> list[Callable[..., None]]:
        if self.database.kind == "sqlite":
            return []
        return [self._truncate, self._alter_type, self._behind_triggers]

    def _update(self, execute: Callable[..., Any], number: int) -> None:
        execute("UPDATE scores SET value = ?", number)

    def _add_run(self, execute: Callable[..., Any], number: int) -> None:
        new = uuid4()
        execute(
            "INSERT INTO runs (id, experiment_id, config, config_hash, status) "
            "VALUES (?, ?, '{}', 'h', 'completed')",
            new,
            self.experiment,
        )
        self._score(execute, new, number)

    def _score(self, execute: Callable[..., Any], scored: UUID, number: int) -> None:
        # The table that takes another one's place counts from 1 again.
        execute(
            "INSERT INTO scores (id, run_id, scorer_name, value) "
            "SELECT coalesce(max(id), 0) + 1, ?, 'a', ? FROM scores",
            scored,
            number,
        )

    def _replace(self, execute: Callable[..., Any], number: int) -> None:
        execute("DELETE FROM scores")
        execute("DELETE FROM runs")
        self._add_run(execute, number)

    def _swap(self, execute: Callable[..., Any], number: int) -> None:
        sql = SWAP_SQLITE if self.database.kind == "sqlite" else SWAP
        for statement in sql.split(";"):
            execute(statement)
        self._update(execute, number)

    def _truncate(self, execute: Callable[..., Any], number: int) -> None:
        execute("TRUNCATE scores")
        self._add_run(execute, number)

    def _alter_type(self, execute: Callable[..., Any], number: int) -> None:
        execute(
            "ALTER TABLE scores ALTER COLUMN value TYPE double precision "
            f"USING {number}"
        )

    def _behind_triggers(self, execute: Callable[..., Any], number: int) -> None:
        execute("SET LOCAL session_replication_role = replica")
        self._update(execute, number)

    @contextmanager
    def _connection(self) -> Iterator[Callable[..., Any]]:
        if self.database.kind == "sqlite":
            path = self.database.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                connection.isolation_level = None

                def execute(sql: str, *values: object) -> object:
                    sql = "BEGIN IMMEDIATE" if sql == "BEGIN" else sql
                    found = [v.hex if isinstance(v, UUID) else v for v in values]
                    return connection.execute(sql, found)

                yield execute
        else:
            with psycopg.connect(self.database.url, autocommit=True) as session:
                yield lambda sql, *values: session.execute(
                    sql.replace("?", "%s").encode(), values or None
                )


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_no_answer_is_older_than_the_last_commit(database: Database, mode: str) -> None:
    if database.kind == "postgresql" and mode == "delete":
        return  # one kind of commit only
    if database.kind == "sqlite":
        database.execute(f"PRAGMA journal_mode = {mode}")
    loaded = experiment(run({"a": 1.0}))
    database.load(loaded)
    writer = Writer(database, loaded.id)
    answers: list[int] = []
    glances: list[float] = []
    stale: list[tuple[int, float, int]] = []
    end = time.monotonic() + SECONDS

    def ask() -> None:
        while time.monotonic() < end:
            oldest = writer.committed
            try:
                score = store.glance(OPERATOR).made(loaded.id, "score")
                if score is None:
                    with store.snapshot(OPERATOR) as moment:
                        score = moment.best(loaded.id).weighted_score
                        moment.keep(loaded.id, "score", score, 8)
                else:
                    glances.append(score)
            except DatabaseUnavailableError:
                continue  # a lock that the writer held for too long
            newest = writer.started
            answers.append(1)
            if not oldest <= score <= newest:
                stale.append((oldest, score, newest))

    with closing(open_store(database.url)) as store:
        threads = [
            threading.Thread(target=writer.write_until, args=[end]),
            *(threading.Thread(target=ask) for _ in range(3)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert writer.failures == []
    assert stale == []
    assert len(answers) > 20
    assert glances
    assert writer.committed > 5


def test_a_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    def filled(name: str, score: float) -> tuple[Path, UUID]:
        path = tmp_path / name
        database = Database(kind="sqlite", url=f"sqlite:///{path}")
        migrate(database.url, create=True)
        loaded = experiment(run({"a": score}), id=UUID(int=5))
        database.load(loaded)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path, loaded.id

    path, id_ = filled("one.db", 1.0)
    other, _ = filled("other.db", 2.0)
    with closing(open_store(f"sqlite:///{path}")) as store:

        def score() -> float:
            kept = store.glance(OPERATOR).made(id_, "score")
            with store.snapshot(OPERATOR) as moment:
                found = moment.best(id_).weighted_score
                moment.keep(id_, "score", found, 8)
            assert kept in (None, found)
            return found

        assert [score(), score()] == [1.0, 1.0]
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        other.replace(path)
        assert [score(), score()] == [2.0, 2.0]
        path.unlink()
        with pytest.raises(DatabaseUnavailableError):
            store.glance(OPERATOR)
        with pytest.raises(DatabaseUnavailableError), store.snapshot(OPERATOR):
            pass


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_file_that_was_written_over_is_noticed(tmp_path: Path, mode: str) -> None:
    def filled(name: str, score: float) -> Path:
        path = tmp_path / name
        database = Database(kind="sqlite", url=f"sqlite:///{path}")
        migrate(database.url, create=True)
        database.load(experiment(run({"a": score}), id=UUID(int=5)))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute(f"PRAGMA journal_mode = {mode}")
        return path

    path, other = filled("one.db", 1.0), filled("other.db", 2.0)
    with closing(open_store(f"sqlite:///{path}")) as store:

        def score() -> float:
            with store.snapshot(OPERATOR) as moment:
                return moment.best(UUID(int=5)).weighted_score

        assert [score(), score()] == [1.0, 1.0]
        # As by cp: the same file, with the counters of one that was made alike.
        path.write_bytes(other.read_bytes())
        assert [score(), score()] == [2.0, 2.0]


def test_a_large_file_outside_wal_is_copied_and_holds_up_no_commit(
    tmp_path: Path,
) -> None:
    path = tmp_path / "large.db"
    database = Database(kind="sqlite", url=f"sqlite:///{path}")
    migrate(database.url, create=True)
    database.execute("PRAGMA journal_mode = DELETE")
    runs = [run({"a": 0.5}, config={"prompt": "x" * 20_000}) for _ in range(100)]
    loaded = experiment(*runs)
    database.load(loaded)
    with closing(open_store(database.url)) as store:
        for number in (1.0, 2.0, 3.0):
            with store.snapshot(OPERATOR) as moment:
                best = moment.best(loaded.id).weighted_score
                with closing(sqlite3.connect(path, timeout=0)) as writer:
                    writer.execute("UPDATE scores SET value = ?", [number])
                    writer.commit()  # is not locked out by the snapshot
                assert len(list(moment.runs(loaded.id).rows)) == 100
            assert best == (0.5 if number == 1.0 else number - 1)
    assert [one.name for one in tmp_path.iterdir()] == ["large.db"]


def test_who_does_not_own_a_file_in_wal_mode_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    path = tmp_path / "others.db"
    database = Database(kind="sqlite", url=f"sqlite:///{path}")
    migrate(database.url, create=True)
    loaded = experiment(run({"a": 1.0}))
    database.load(loaded)
    with closing(open_store(database.url)) as store:
        for number in (2.0, 3.0):
            with store.snapshot(OPERATOR) as moment:
                assert moment.best(loaded.id).weighted_score == number - 1
            assert [one.name for one in tmp_path.iterdir()] == ["others.db"]
            database.execute("UPDATE scores SET value = ?", number)
        with closing(sqlite3.connect(path)) as writer:
            writer.execute("UPDATE scores SET value = 4.0")
            writer.commit()  # and stays open: its own files are there now
            with store.snapshot(OPERATOR) as moment:
                assert moment.best(loaded.id).weighted_score == 4.0
