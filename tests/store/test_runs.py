"""Every run of an experiment, as the document of tables holds it."""

import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

from builders import EPOCH, experiment, run
from databases import Database
from promptlooper_export.documents import Runs
from promptlooper_export.records import ExperimentRecord, RunRecord
from promptlooper_export.runs import Run, StageResult
from promptlooper_export.store import runs as store_runs
from promptlooper_export.store.catalog import read_catalog
from promptlooper_export.store.connection import open_for_reading, reading
from promptlooper_export.store.runs import ORDER, page
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR


def pages(database: Database, record: ExperimentRecord, limit: int) -> list[list[Run]]:
    database.load(record)
    found: list[list[Run]] = []
    after = None
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        while after is not None or not found:
            document = snapshot.runs(record.id, limit=limit, after=after)
            found.append(list(document.rows))
            assert document.count == len(found[-1])
            after = document.last
    return found


def allow_no_time(database: Database) -> None:
    """Let runs be without created_at, as a runner's own table may."""
    if database.kind == "postgresql":
        database.execute("ALTER TABLE runs ALTER COLUMN created_at DROP NOT NULL")
        return
    path = database.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = "
            """replace(sql, '"created_at" TIMESTAMPTZ NOT NULL', '"created_at"') """
            "WHERE name = 'runs'"
        )


def read(database: Database, record: ExperimentRecord) -> tuple[Runs, list[Run]]:
    database.load(record)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        document = snapshot.runs(record.id)
        _ = document.columns
        return document, list(document.rows)


def places(rows: list[Run]) -> list[tuple[str | None, float | None, int | None]]:
    return [(row.name, row.weighted_score, row.rank) for row in rows]


def test_runs_of_any_status_stand_by_age_then_id_each_with_its_rank(
    database: Database,
) -> None:
    late = EPOCH + timedelta(hours=1)
    record = experiment(
        run({"a": 0.2}, name="third", created_at=late),
        run({"a": 0.9}, name="first"),
        run({"a": 1.0}, name="failed", status="failed"),
        run(name="unscored"),
        run({"a": 0.5}, name="second"),
    )

    document, rows = read(database, record)

    assert document.count == 5
    assert places(rows) == [
        ("first", 0.9, 1),
        ("failed", None, None),
        ("unscored", None, None),
        ("second", 0.5, 2),
        ("third", 0.2, 3),
    ]


def test_runs_of_one_moment_stand_by_id(database: Database) -> None:
    twins = [run(created_at=EPOCH) for _ in range(20)]

    _, rows = read(database, experiment(*twins))

    assert [row.run_id for row in rows] == sorted(twin.id for twin in twins)


def test_a_run_comes_out_as_it_went_in(database: Database) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    stage = StageResult(
        stage_name="draft", output="é", tokens_in=1, tokens_out=2, duration_ms=3
    )
    went_in = run(
        {"a": [0.25, 0.75], "b": -1.0},
        config={"model": {"name": "m"}, "stop": ["\n"], "seed": None},
        name="n",
        tokens_in=7,
        tokens_out=8,
        duration_ms=9,
        cost_usd=0.125,
        error="odd",
        tags=["x", {"y": 1}],
        stage_results=(stage,),
        started_at=moment,
        finished_at=moment,
        updated_at=moment,
    )

    document, [row] = read(database, experiment(went_in))

    assert row == Run(
        run_id=went_in.id,
        name="n",
        status="completed",
        weighted_score=-0.25,
        rank=1,
        config={"model": {"name": "m"}, "stop": ["\n"], "seed": None},
        config_hash=went_in.config_hash,
        scores={"a": 0.5, "b": -1.0},
        tokens_in=7,
        tokens_out=8,
        duration_ms=9,
        cost_usd=0.125,
        error="odd",
        tags=["x", {"y": 1}],
        stage_results=(stage,),
        created_at=went_in.created_at,
        started_at=moment,
        finished_at=moment,
        updated_at=moment,
        judgements={"a": (0.25, 0.75), "b": (-1.0,)},
    )
    assert document.columns.config == ("model.name", "seed", "stop")
    assert document.columns.scores == ("a", "b")


def test_a_config_that_is_no_json_object_is_named_and_stands_as_none(
    database: Database,
) -> None:
    broken = [run({"a": 0.1}, text="[1]") for _ in range(store_runs.NAMED + 3)]

    document, rows = read(database, experiment(*broken))

    assert {row.config for row in rows} == {None}
    assert [row.rank for row in rows] == list(range(1, 14))
    *named, rest = document.warnings
    assert [notice.code for notice in named] == ["invalid-config"] * store_runs.NAMED
    assert str(broken[0].id) in named[0].message
    assert rest.message == "There are 3 more warnings of this kind."


def test_a_score_that_is_not_finite_is_named_whatever_the_run_s_status(
    database: Database,
) -> None:
    record = experiment(run({"a": [None, 0.5]}), run({"b": None}, status="failed"))

    document, rows = read(database, record)

    assert [dict(row.scores) for row in rows] == [{"a": 0.5}, {}]
    assert [notice.path for notice in document.warnings] == ["scores.a", "scores.b"]
    assert document.columns.scores == ("a",)


def test_many_runs_are_read_in_batches_without_a_gap(database: Database) -> None:
    size = 2 * store_runs.BATCH + 1

    def records() -> list[RunRecord]:
        return [run({"a": float(number)}, name=str(number)) for number in range(size)]

    _, rows = read(database, experiment(*records()))

    assert places(rows) == [
        (str(number), float(number), size - number) for number in range(size)
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_are_the_whole_without_a_gap_or_a_run_twice(
    database: Database, limit: int
) -> None:
    scores = [0.5, 0.5, 0.1, None, 0.9, 0.3, 0.3]
    runs = [
        run({"a": score}, created_at=EPOCH + timedelta(seconds=number // 3))
        for number, score in enumerate(scores)
    ]
    record = experiment(*runs)

    found = pages(database, record, limit)

    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        assert list(chain(*found)) == list(snapshot.runs(record.id).rows)
    assert [len(rows) for rows in found[:-1]] == [limit] * (len(found) - 1)


def test_runs_without_a_time_are_on_the_first_pages(database: Database) -> None:
    allow_no_time(database)
    runs = [run({"a": 0.5}, name=str(number)) for number in range(4)]
    record = experiment(*runs)
    database.load(record)
    for undated in runs[2:]:
        database.execute("UPDATE runs SET created_at = NULL WHERE id = ?", undated.id)

    found = pages(database, replace(record, runs=iter(())), limit=1)

    ids = [row.run_id for rows in found for row in rows]
    undated_ids = sorted(one.id for one in runs[2:])
    assert ids == [*undated_ids, runs[0].id, runs[1].id]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_text_that_is_not_utf_8_far_down_neither_repeats_nor_loses_a_run(
    database: Database,
) -> None:
    runs = [run(name=f"run {number}") for number in range(200)]
    record = experiment(*runs)
    database.load(record)
    sql = (
        f"UPDATE runs SET name = CAST(x'61FF' AS TEXT) WHERE id = '{runs[120].id.hex}'"
    )
    database.execute(sql)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        document = snapshot.runs(record.id)
        names = [row.name for row in document.rows]
    assert names == ["a\ufffd" if one is runs[120] else one.name for one in runs]
    [notice] = document.warnings
    assert notice.code == "unreadable-value"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_page_is_found_by_an_index(database: Database) -> None:
    runs = [run() for _ in range(50)]
    record = experiment(*runs)
    database.load(record)
    with reading(open_for_reading(database.url)) as session:
        # Of so few rows, all are read as quickly.
        session.run("SET LOCAL enable_seqscan = off")
        session.run("SET LOCAL enable_bitmapscan = off")
        catalog = read_catalog(session)
        wanted = page(session, catalog, record.id, limit=5, after=runs[20].id)
        sql = f"EXPLAIN SELECT id FROM {wanted.sql} {ORDER} LIMIT 5"
        plan = str(session.all(sql, *wanted.values))
    assert "Index" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_scores_and_stages_of_some_runs_are_found_by_an_index(
    database: Database,
) -> None:
    stage = StageResult(
        stage_name="s", output=None, tokens_in=None, tokens_out=None, duration_ms=None
    )
    runs = [run({"a": 0.5, "b": 1.0}, stage_results=(stage, stage)) for _ in range(200)]
    database.load(experiment(*runs))
    # Only statistics tell the planner how many rows there are.
    database.execute("ANALYZE")

    with reading(open_for_reading(database.url)) as session:
        catalog = read_catalog(session)
        for table in (catalog.scores, catalog.stage_results):
            keys = [one.id.hex for one in runs[:20]]
            marks = ", ".join("?" * len(keys))
            sql = f"SELECT * FROM {table} WHERE run_id IN ({marks}) ORDER BY place"
            assert "SCAN" not in str(session.all(f"EXPLAIN QUERY PLAN {sql}", *keys))


def test_an_experiment_without_runs_has_an_empty_document(database: Database) -> None:
    document, rows = read(database, experiment())

    assert (document.count, rows, document.columns.config) == (0, [], ())


def test_every_column_of_a_run_is_in_the_order_of_the_contract() -> None:
    assert " ".join(field.name for field in fields(Run)) == (
        "run_id name status weighted_score rank config config_hash scores tokens_in "
        "tokens_out duration_ms cost_usd error tags stage_results created_at "
        "started_at finished_at updated_at judgements cases"
    )
