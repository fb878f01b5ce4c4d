"""The ranking against its plain Python rule, over random histories of plain SQL."""

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import Database
from promptlooper_export.store import freshness
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR
from ranking_reference import ReferenceRun, ranking

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
EXPERIMENTS = tuple(UUID(int=number) for number in (1, 2))
SCORERS = ("accuracy", "fluency", "latency", "cost")

INSERT_EXPERIMENT = (
    "INSERT INTO experiments "
    "(id, name, status, scoring_config, created_at, updated_at) "
    "VALUES (?, 'x', 'completed', ?, ?, ?)"
)
INSERT_RUN = (
    "INSERT INTO runs "
    "(id, experiment_id, config, config_hash, status, created_at, updated_at)"
    " VALUES (?, ?, '{}', 'h', ?, ?, ?)"
)


@dataclass
class History:
    """A writer's connection, and what the rows should be after what it wrote."""

    kind: str
    execute: Callable[..., Any]
    rules: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    runs: dict[UUID, ReferenceRun] = field(default_factory=dict)
    owner: dict[UUID, UUID] = field(default_factory=dict)
    score_rows: list[int] = field(default_factory=list)

    def bind(self, value: object) -> object:
        if self.kind == "sqlite":
            if isinstance(value, UUID):
                return value.hex
            if isinstance(value, datetime):
                return value.isoformat(" ")
        return value

    def sql(self, statement: str, *values: object) -> None:
        if self.kind == "postgresql":
            statement = statement.replace("?", "%s")
        self.execute(statement, [self.bind(value) for value in values])


@pytest.fixture
def history(database: Database) -> Iterator[History]:
    if database.kind == "sqlite":
        path = database.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield History(kind="sqlite", execute=connection.execute)
    else:
        with psycopg.connect(database.url, autocommit=True) as connection:
            yield History(kind="postgresql", execute=connection.execute)


def start(history: History) -> None:
    for table in ("stage_results", "scores", "runs", "experiments"):
        history.sql(f"DELETE FROM {table}")
    history.rules.clear()
    history.runs.clear()
    history.owner.clear()
    history.score_rows.clear()
    for experiment in EXPERIMENTS:
        history.sql(INSERT_EXPERIMENT, experiment, None, EPOCH, EPOCH)
        history.rules[experiment] = {}


def add_run(
    history: History, number: int, status: str, minute: int, scored: int
) -> None:
    run = uuid5(EXPERIMENTS[0], str(number))
    if run in history.runs:
        return
    when = EPOCH + timedelta(minutes=minute, microseconds=minute % 3)
    history.sql(INSERT_RUN, run, EXPERIMENTS[0], status, when, when)
    history.runs[run] = ReferenceRun(id=run, status=status, created_at=when)
    history.owner[run] = EXPERIMENTS[0]
    for place in range(scored):
        add_score(history, number * 7 + place, place, round(number * 0.1 % 1, 1))


def add_runs(history: History, number: int) -> None:
    for offset in range(20):
        add_run(history, 100 + number + offset, "completed", offset % 3, 2)


def _pick_run(history: History, number: int) -> UUID | None:
    runs = sorted(history.runs, key=str)
    return runs[number % len(runs)] if runs else None


def add_score(history: History, number: int, scorer: int, value: float | None) -> None:
    run = _pick_run(history, number)
    if run is None:
        return
    row = max(history.score_rows, default=0) + 1
    history.sql(
        "INSERT INTO scores (id, run_id, scorer_name, value) VALUES (?, ?, ?, ?)",
        row,
        run,
        SCORERS[scorer % len(SCORERS)],
        value,
    )
    _read_back(history)


def _read_back(history: History) -> None:
    """Read the judgements again: what a plain SELECT shows is what should count."""
    for run in history.runs.values():
        run.judgements.clear()
    history.score_rows.clear()
    rows = history.execute(
        "SELECT id, run_id, scorer_name, value FROM scores ORDER BY id"
    )
    for row, run_id, scorer, value in rows.fetchall():
        history.score_rows.append(row)
        history.runs[UUID(str(run_id))].judgements.append((scorer, value))


def change_score(history: History, number: int, value: float | None) -> None:
    if history.score_rows:
        row = history.score_rows[number % len(history.score_rows)]
        history.sql("UPDATE scores SET value = ? WHERE id = ?", value, row)
        _read_back(history)


def move_score(history: History, number: int, to: int) -> None:
    run = _pick_run(history, to)
    if history.score_rows and run is not None:
        row = history.score_rows[number % len(history.score_rows)]
        history.sql("UPDATE scores SET run_id = ? WHERE id = ?", run, row)
        _read_back(history)


def replace_score(history: History, number: int, to: int, value: float) -> None:
    run = _pick_run(history, to)
    if not history.score_rows or run is None:
        return
    row = history.score_rows[number % len(history.score_rows)]
    if history.kind == "sqlite":
        history.sql(
            "INSERT OR REPLACE INTO scores (id, run_id, scorer_name, value) "
            "VALUES (?, ?, 'accuracy', ?)",
            row,
            run,
            value,
        )
    else:
        history.sql(
            "INSERT INTO scores (id, run_id, scorer_name, value) "
            "VALUES (?, ?, 'accuracy', ?) ON CONFLICT (id) DO UPDATE "
            "SET run_id = excluded.run_id, value = excluded.value, "
            "scorer_name = excluded.scorer_name",
            row,
            run,
            value,
        )
    _read_back(history)


def delete_scores(history: History, number: int) -> None:
    run = _pick_run(history, number)
    if run is not None:
        history.sql("DELETE FROM scores WHERE run_id = ?", run)
        _read_back(history)


def delete_run(history: History, number: int) -> None:
    run = _pick_run(history, number)
    if run is not None:
        history.sql("DELETE FROM scores WHERE run_id = ?", run)
        history.sql("DELETE FROM runs WHERE id = ?", run)
        del history.runs[run], history.owner[run]
        _read_back(history)


def change_status(history: History, number: int, status: str) -> None:
    run = _pick_run(history, number)
    if run is not None:
        history.sql("UPDATE runs SET status = ? WHERE id = ?", status, run)
        history.runs[run].status = status


def change_time(history: History, number: int, minute: int) -> None:
    run = _pick_run(history, number)
    if run is not None:
        when = EPOCH + timedelta(minutes=minute)
        history.sql("UPDATE runs SET created_at = ? WHERE id = ?", when, run)
        history.runs[run].created_at = when


def move_run(history: History, number: int, to: int) -> None:
    run = _pick_run(history, number)
    if run is not None:
        experiment = EXPERIMENTS[to % 2]
        history.sql("UPDATE runs SET experiment_id = ? WHERE id = ?", experiment, run)
        history.owner[run] = experiment


def change_rules(history: History, number: int, rules: dict[str, Any]) -> None:
    experiment = EXPERIMENTS[number % 2]
    history.sql(
        "UPDATE experiments SET scoring_config = ? WHERE id = ?",
        json.dumps(rules),
        experiment,
    )
    history.rules[experiment] = rules


def rescore_all(history: History, value: float) -> None:
    history.sql("UPDATE scores SET value = ? WHERE scorer_name = 'fluency'", value)
    _read_back(history)


numbers = st.integers(0, 60)
values = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 0.7, 1.0, -0.4]),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6)),
)
judgements = st.one_of(values, st.just(None), st.just(math.inf), st.just(-math.inf))
statuses = st.sampled_from(["completed", "completed", "running", "failed", "pruned"])
weights = st.dictionaries(
    st.sampled_from(SCORERS), st.sampled_from([0.5, 0.3, 0.2, 1, 0, -0.5, 2.5])
)
directions = st.dictionaries(
    st.sampled_from(SCORERS), st.sampled_from(["maximize", "minimize"])
)
rules = st.fixed_dictionaries(
    {},
    optional={
        "weights": weights,
        "directions": directions,
        "direction": st.sampled_from(["maximize", "minimize"]),
        "required": st.lists(st.sampled_from(SCORERS), max_size=2),
        "note": st.text(max_size=3),
    },
)
steps = st.one_of(
    st.tuples(
        st.just(add_run), numbers, statuses, st.integers(0, 5), st.integers(0, 6)
    ),
    st.tuples(
        st.just(add_run), numbers, st.just("completed"), st.integers(0, 5), st.just(4)
    ),
    st.tuples(st.just(add_runs), numbers),
    st.tuples(st.just(add_score), numbers, numbers, judgements),
    st.tuples(st.just(change_score), numbers, judgements),
    st.tuples(st.just(move_score), numbers, numbers),
    st.tuples(st.just(replace_score), numbers, numbers, values),
    st.tuples(st.just(delete_scores), numbers),
    st.tuples(st.just(delete_run), numbers),
    st.tuples(st.just(change_status), numbers, statuses),
    st.tuples(st.just(change_time), numbers, st.integers(0, 5)),
    st.tuples(st.just(move_run), numbers, numbers),
    st.tuples(st.just(change_rules), numbers, rules),
    st.tuples(st.just(rescore_all), values),
)


def first_difference(
    database: Database, history: History, script: list[tuple[Any, ...]]
) -> str | None:
    """Play a script; say after which step the ranking is not what the rule gives."""
    store = open_store(database.url)
    start(history)
    for act, *arguments in script:
        act(history, *arguments)
        for experiment in EXPERIMENTS:
            runs = [
                r for r in history.runs.values() if history.owner[r.id] == experiment
            ]
            expected = ranking(history.rules[experiment], runs)
            with store.snapshot(OPERATOR) as moment:
                report = moment.report(experiment, top_n=50)
            found = [(run.run_id, run.weighted_score) for run in report.top]
            if found != expected[:50] or report.counts.scored != len(expected):
                return f"{act.__name__}{arguments}: {found} instead of {expected[:50]}"
    store.close()
    return None


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=st.lists(steps, min_size=5, max_size=40))
def test_the_ranking_is_right_after_every_step_of_any_history(
    database: Database, history: History, script: list[tuple[Any, ...]]
) -> None:
    assert first_difference(database, history, script) is None


TELLING: list[tuple[Any, ...]] = [
    (add_runs, 1),
    *((change_score, n, 0.9) for n in range(40)),
    *((change_status, n, "failed") for n in range(10)),
    (change_rules, 0, {"direction": "minimize"}),
]


def test_a_token_that_never_changes_is_caught(
    database: Database, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_difference(database, history, TELLING) is None
    monkeypatch.setattr(freshness.Sentinel, "token", lambda _: "ever the same")
    monkeypatch.setattr(freshness, "_LOCK", "SELECT 'ever the same' -- {tables}")
    assert first_difference(database, history, TELLING) is not None
