"""The ranking on PostgreSQL under writers that run at the same time."""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from postgres import Cluster
from promptlooper_export.store import access
from promptlooper_export.store.database import open_for_reading, reading
from promptlooper_export.store.fold import fold
from promptlooper_export.store.ranking import Ranking
from promptlooper_export.store.visibility import Visibility
from promptlooper_export.viewer import OPERATOR
from ranking_reference import ReferenceRun, decoded
from ranking_reference import ranking as expected_ranking

EXPERIMENT = UUID(int=1)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = tuple(UUID(int=1000 + number) for number in range(12))
WRITERS = 6
TRANSACTIONS = 80
SCORERS = "abcd"


@pytest.fixture
def url(cluster: Cluster, migrated_postgresql: str) -> Iterator[str]:
    with cluster.database(migrated_postgresql) as name:
        location = cluster.url(name)
        with psycopg.connect(location) as connection:
            connection.execute(
                "INSERT INTO experiments (id, name, status, created_at, updated_at) "
                "VALUES (%s, 'x', 'running', %s, %s)",
                (EXPERIMENT, EPOCH, EPOCH),
            )
            for number, run in enumerate(RUNS):
                when = EPOCH + timedelta(seconds=number % 4)
                connection.execute(
                    "INSERT INTO runs (id, experiment_id, config, config_hash, "
                    "status, created_at, updated_at) "
                    "VALUES (%s, %s, '{}', 'h', 'completed', %s, %s)",
                    (run, EXPERIMENT, when, when),
                )
        yield location


@dataclass
class Outcome:
    """What the writers met and the reader saw."""

    deadlocks: int = 0
    checked: int = 0
    wrong: list[str] = field(default_factory=list)


def write(url: str, number: int, outcome: Outcome) -> None:
    """Score runs in an order of this writer's own; touch no row that another updates.

    Without triggers such writers never wait for one another.
    """
    choose = random.Random(number)  # noqa: S311  a history to repeat
    own_runs = RUNS[number * 2 : number * 2 + 2]
    mine: list[int] = []
    with psycopg.connect(url) as connection:
        connection.execute("SET deadlock_timeout = '100ms'")
        connection.execute("SET synchronous_commit = off")
        connection.commit()
        for _ in range(TRANSACTIONS):
            try:
                for _ in range(choose.randint(1, 4)):
                    _write_once(connection, choose, own_runs, mine, number)
                if choose.random() < 0.3:
                    connection.execute("SELECT pg_sleep(0.003)")
            except psycopg.errors.DeadlockDetected:
                connection.rollback()
                outcome.deadlocks += 1
                mine.clear()
            else:
                if choose.random() < 0.15:
                    connection.rollback()
                    mine.clear()
                else:
                    connection.commit()


def _write_once(
    connection: psycopg.Connection,
    choose: random.Random,
    own_runs: tuple[UUID, ...],
    mine: list[int],
    number: int,
) -> None:
    kind = choose.random()
    value = choose.choice([None, round(choose.uniform(-1, 1), 3), float("nan")])
    if kind < 0.55 or (kind < 0.85 and not mine):
        row = connection.execute(
            "INSERT INTO scores (run_id, scorer_name, value) VALUES (%s, %s, %s) "
            "RETURNING id",
            (choose.choice(RUNS), choose.choice(SCORERS), value),
        ).fetchone()
        assert row is not None
        mine.append(row[0])
    elif kind < 0.7:
        connection.execute(
            "UPDATE scores SET value = %s WHERE id = %s", (value, choose.choice(mine))
        )
    elif kind < 0.85:
        gone = mine.pop(choose.randrange(len(mine)))
        connection.execute("DELETE FROM scores WHERE id = %s", (gone,))
    elif number == 0:
        rules = choose.choice(
            ['{"weights": {"a": 0.5, "b": 0.5}}', '{"direction": "minimize"}', "{}"]
        )
        connection.execute(
            "UPDATE experiments SET scoring_config = %s WHERE id = %s",
            (rules, EXPERIMENT),
        )
    else:
        connection.execute(
            "UPDATE runs SET status = %s WHERE id = %s",
            (choose.choice(["completed", "failed"]), choose.choice(own_runs)),
        )


def read_until(url: str, done: threading.Event, outcome: Outcome) -> None:
    """Compare every snapshot's ranking with the rule applied to its rows."""
    database = open_for_reading(url)
    last = False
    while not last:
        last = done.is_set()  # one more look after the last commit
        with reading(database) as session:
            sight = Visibility(session, OPERATOR, open_experiments=False)
            row = access.experiment(session, sight, EXPERIMENT)
            found = [
                (p.run_id, p.weighted_score) for p in Ranking(session, row).top(12)
            ]
            runs = {
                run: ReferenceRun(id=run, status=status, created_at=created_at)
                for run, status, created_at in session.all(
                    "SELECT id, status, created_at FROM runs"
                )
            }
            for run, scorer, value in session.all(
                "SELECT run_id, scorer_name, value FROM scores"
            ):
                runs[run].judgements.append((scorer, value))
        rules = decoded(row.experiment.scoring_config)
        outcome.checked += 1
        if found != (right := expected_ranking(rules, runs.values())):
            outcome.wrong.append(f"{found} instead of {right}")
    database.close()


def race(url: str) -> Outcome:
    outcome = Outcome()
    done = threading.Event()
    reader = threading.Thread(target=read_until, args=(url, done, outcome))
    writers = [
        threading.Thread(target=write, args=(url, number, outcome))
        for number in range(WRITERS)
    ]
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    return outcome


def test_no_writer_deadlocks_and_every_snapshot_is_right(url: str) -> None:
    outcome = race(url)
    assert outcome.deadlocks == 0
    assert outcome.checked > 100
    assert outcome.wrong == []


def test_a_fold_without_its_lock_is_caught(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION export_lock() RETURNS boolean "
            "LANGUAGE sql AS 'SELECT true'"
        )
    outcome = race(url)
    assert outcome.deadlocks or outcome.wrong


def test_writers_above_read_committed_leave_the_ranking_right(url: str) -> None:
    with psycopg.connect(url) as early, psycopg.connect(url) as late:
        early.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        early.execute("SELECT 1 FROM runs")
        for number, run in enumerate(RUNS):
            late.execute(
                "INSERT INTO scores (run_id, scorer_name, value) VALUES (%s, 'a', %s)",
                (run, number / 10),
            )
        late.commit()
        early.execute(
            """UPDATE experiments SET scoring_config = '{"direction": "minimize"}'"""
        )
        early.commit()
    done = threading.Event()
    done.set()
    outcome = Outcome()
    read_until(url, done, outcome)
    assert (outcome.checked, outcome.wrong) == (1, [])
    assert fold(url) > 0
    read_until(url, done, outcome)
    assert (outcome.checked, outcome.wrong) == (2, [])


def test_a_scoring_writer_never_waits_for_another(url: str) -> None:
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        second.execute("SET lock_timeout = '200ms'")
        second.commit()
        for run, other in zip(RUNS, reversed(RUNS), strict=True):
            for connection, target in ((first, run), (second, other)):
                connection.execute(
                    "INSERT INTO scores (run_id, scorer_name, value) "
                    "VALUES (%s, 'a', 1)",
                    (target,),
                )
        second.execute("UPDATE runs SET status = 'failed' WHERE id = %s", (RUNS[0],))
