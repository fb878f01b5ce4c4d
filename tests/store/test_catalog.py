"""Databases as runners of all kinds make them: read right, or refused by name."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from uuid import UUID

import pytest

from databases import Database
from promptlooper_export.documents import Report
from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    ExperimentNotFoundError,
)
from promptlooper_export.runs import Run
from promptlooper_export.store.snapshot import Snapshot, open_store
from promptlooper_export.viewer import OPERATOR

EXPERIMENT = UUID("abcdef00-0000-4000-8000-000000000001")
WINNER = UUID("abcdef00-0000-4000-8000-0000000000a1")
OTHER = UUID("abcdef00-0000-4000-8000-0000000000a2")

SCHEMA = """
CREATE TABLE experiments (
    id {id} PRIMARY KEY, name varchar(255), status {status}, scoring_config {json},
    created_at {time}, updated_at {time}
);
CREATE TABLE runs (
    id {id} PRIMARY KEY, experiment_id {id}, status {status}, config {json},
    config_hash varchar(64), tokens_in {whole}, tokens_out {whole},
    duration_ms {whole}, cost_usd {number}, created_at {time}, updated_at {time}
);
CREATE TABLE scores (
    id integer PRIMARY KEY, run_id {id}, scorer_name varchar(100), value {number}
);
CREATE TABLE stage_results (id integer PRIMARY KEY, run_id {id}, stage_name text)
"""

PLAIN: dict[str, str | dict[str, str]] = {
    "id": {"sqlite": "CHAR(32)", "postgresql": "uuid"},
    "status": "varchar(20)",
    "json": "json",
    "time": {"sqlite": "TIMESTAMP", "postgresql": "timestamptz"},
    "whole": {"sqlite": "INTEGER", "postgresql": "bigint"},
    "number": {"sqlite": "FLOAT", "postgresql": "double precision"},
}


def hyphenated(value: UUID) -> str:
    return str(value)


def upper(value: UUID) -> str:
    return value.hex.upper()


def columns(database: Database, types: Mapping[str, str]) -> dict[str, str]:
    return {
        name: types.get(name) or (one if isinstance(one, str) else one[database.kind])
        for name, one in PLAIN.items()
    }


def build(
    database: Database,
    *,
    ids: object = UUID.hex.fget,  # type: ignore[attr-defined]
    completed: str = "completed",
    values: tuple[object, object] = (0.9, 0.8),
    moment: str | None = "2026-01-01 00:00:00",
    types: Mapping[str, str] | None = None,
) -> None:
    """Make the tables with other types, and one experiment with two runs."""
    chosen = columns(database, types or {})
    if "enum" in chosen["status"]:
        database.execute("CREATE TYPE run_status AS ENUM ('COMPLETED', 'FAILED')")
        chosen["status"] = "run_status"
    for statement in SCHEMA.format(**chosen).split(";"):
        database.execute(statement)
    assert callable(ids)
    id_, *runs = [
        value if chosen["id"] == "uuid" else ids(value)
        for value in (EXPERIMENT, WINNER, OTHER)
    ]
    database.execute(
        "INSERT INTO experiments VALUES (?, 'e', ?, '{}', ?, ?)",
        id_,
        completed,
        moment,
        moment,
    )
    for place, (run, value) in enumerate(zip(runs, values, strict=True), start=1):
        database.execute(
            "INSERT INTO runs "
            "VALUES (?, ?, ?, '{\"a\": 1}', 'h', 100, 10, 5, 0.5, ?, ?)",
            run,
            id_,
            completed,
            moment,
            moment,
        )
        database.execute("INSERT INTO scores VALUES (?, ?, 'a', ?)", place, run, value)


@contextmanager
def looking(database: Database) -> Iterator[Snapshot]:
    with closing(open_store(database.url)) as store, store.snapshot(OPERATOR) as moment:
        yield moment


def read(database: Database) -> tuple[Report, list[Run]]:
    """Read all that there is, and check what is the same whatever the types."""
    with looking(database) as moment:
        assert [row.id for row in moment.experiments()] == [EXPERIMENT]
        best = moment.best(EXPERIMENT)
        report = moment.report(EXPERIMENT, top_n=5)
        runs = list(moment.runs(EXPERIMENT).rows)
    assert best.run_id == WINNER
    assert best.warnings == ()
    assert [run.run_id for run in report.top] == [WINNER, OTHER]
    assert {run.run_id: run.rank for run in runs} == {WINNER: 1, OTHER: 2}
    assert report.counts.by_status == {"completed": 2}
    assert (report.tokens.tokens_in, report.tokens.tokens_out) == (200, 20)
    assert report.timing is not None
    assert report.timing.total == 10
    assert report.cost is not None
    assert report.cost.total == 1.0
    assert {(run.tokens_in, run.duration_ms, run.cost_usd) for run in runs} == {
        (100, 5, 0.5)
    }
    return report, runs


@pytest.mark.parametrize(
    ("type_", "ids"),
    [
        ("CHAR(32)", UUID.hex.fget),  # type: ignore[attr-defined]
        ("CHAR(36)", hyphenated),
        ("VARCHAR(36)", hyphenated),
        ("VARCHAR(32)", upper),
        ("TEXT", hyphenated),
    ],
)
def test_ids_are_uuids_in_any_spelling(
    empty_database: Database, type_: str, ids: object
) -> None:
    build(empty_database, types={"id": type_}, ids=ids)
    read(empty_database)


def test_ids_may_be_bytes(empty_database: Database) -> None:
    type_ = "BLOB" if empty_database.kind == "sqlite" else "bytea"
    build(empty_database, types={"id": type_}, ids=UUID.bytes.fget)  # type: ignore[attr-defined]
    read(empty_database)


def test_scores_may_spell_ids_differently(empty_database: Database) -> None:
    build(empty_database, types={"id": "VARCHAR(36)"}, ids=hyphenated)
    empty_database.execute("UPDATE scores SET run_id = replace(run_id, '-', '')")
    read(empty_database)


@pytest.mark.parametrize("completed", ["COMPLETED", "Completed"])
def test_statuses_are_compared_without_case(
    empty_database: Database, completed: str
) -> None:
    build(empty_database, completed=completed)
    read(empty_database)


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "types",
    [
        {"status": "enum"},
        {"whole": "integer"},
        {"whole": "smallint"},
        {"whole": "numeric"},
        {"whole": "double precision"},
        {"number": "numeric(10, 4)"},
        {"number": "real"},
        {"json": "jsonb"},
        {"json": "text"},
        {"time": "timestamp"},
        {"time": "date"},
        {"time": "text"},
    ],
    ids=str,
)
def test_types_of_postgresql_are_understood(
    empty_database: Database, types: dict[str, str]
) -> None:
    completed = "COMPLETED" if "status" in types else "completed"
    build(empty_database, completed=completed, types=types)
    report, _ = read(empty_database)
    assert report.top[0].scores == {"a": 0.9}


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("types", "column"),
    [
        ({"number": "text"}, "cost_usd has the type text"),
        ({"number": "interval"}, "cost_usd has the type interval"),
        ({"whole": "text"}, "tokens_in has the type text"),
        ({"time": "bigint"}, "created_at has the type bigint"),
        ({"id": "integer"}, "id has the type integer"),
    ],
    ids=str,
)
def test_a_type_that_is_not_understood_is_refused_by_name(
    empty_database: Database, types: dict[str, str], column: str
) -> None:
    chosen = columns(empty_database, types)
    for statement in SCHEMA.format(**chosen).split(";"):
        empty_database.execute(statement)
    with pytest.raises(DatabaseNotUnderstoodError, match=column):
        read(empty_database)


def test_what_is_missing_of_a_run_is_absent(empty_database: Database) -> None:
    build(empty_database, moment=None)
    for table, column in (("runs", "config_hash"), ("experiments", "scoring_config")):
        empty_database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    empty_database.execute("DROP TABLE stage_results")
    report, runs = read(empty_database)
    assert {run.created_at for run in runs} == {None}
    assert report.experiment.created_at is None
    assert report.experiment.description is None


def test_a_column_that_comes_later_is_read(empty_database: Database) -> None:
    build(empty_database)
    with closing(open_store(empty_database.url)) as store:
        for name in (None, "x"):
            with store.snapshot(OPERATOR) as moment:
                found = {run.name for run in moment.runs(EXPERIMENT).rows}
            assert found == {name}
            if name is None:
                empty_database.execute("ALTER TABLE runs ADD COLUMN name text")
                empty_database.execute("UPDATE runs SET name = 'x'")


def test_views_do_as_well_as_tables(empty_database: Database) -> None:
    build(empty_database)
    for table in ("runs", "scores"):
        empty_database.execute(f"ALTER TABLE {table} RENAME TO {table}_data")
        empty_database.execute(f"CREATE VIEW {table} AS SELECT * FROM {table}_data")
    read(empty_database)


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_partitioned_table_is_read_through_its_parent(
    empty_database: Database,
) -> None:
    build(empty_database)
    for sql in (
        "ALTER TABLE scores RENAME TO scores_1",
        "CREATE TABLE scores (LIKE scores_1) PARTITION BY RANGE (id)",
        "ALTER TABLE scores ATTACH PARTITION scores_1 FOR VALUES FROM (0) TO (100)",
    ):
        empty_database.execute(sql)
    with closing(open_store(empty_database.url)) as store:
        for expected, sql in (
            (WINNER, "UPDATE scores_1 SET value = 0.1 WHERE id = 1"),
            (OTHER, "ALTER TABLE scores DETACH PARTITION scores_1"),
        ):
            with store.snapshot(OPERATOR) as moment:
                assert moment.best(EXPERIMENT).run_id == expected
            empty_database.execute(sql)
        with store.snapshot(OPERATOR) as moment:
            assert moment.report(EXPERIMENT, top_n=5).counts.scored == 0


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_tables_are_found_along_the_search_path_of_the_url(
    empty_database: Database,
) -> None:
    build(empty_database)
    empty_database.execute("CREATE SCHEMA app")
    for table in ("experiments", "runs", "scores", "stage_results"):
        empty_database.execute(f"ALTER TABLE {table} SET SCHEMA app")
    with pytest.raises(DatabaseNotUnderstoodError, match=r"it has app\.experiments"):
        read(empty_database)
    there = f"{empty_database.url}?options=-csearch_path%3Dapp"
    read(Database(kind="postgresql", url=there))


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_role_that_may_only_select_is_enough(empty_database: Database) -> None:
    build(empty_database)
    for sql in (
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON experiments, runs, scores, stage_results TO reader",
    ):
        empty_database.execute(sql)
    reader = empty_database.url.replace("postgres@", "reader@")
    read(Database(kind="postgresql", url=reader))
    empty_database.execute("REVOKE SELECT ON scores FROM reader")
    with pytest.raises(DatabaseUnavailableError, match=r"scores.*GRANT SELECT"):
        read(Database(kind="postgresql", url=reader))


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_what_row_level_security_hides_is_not_exported_and_that_is_said(
    empty_database: Database,
) -> None:
    build(empty_database)
    for sql in (
        "DROP ROLE IF EXISTS narrow",
        "CREATE ROLE narrow LOGIN",
        "GRANT SELECT ON experiments, runs, scores, stage_results TO narrow",
        "ALTER TABLE runs ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY not_all ON runs TO narrow USING (id <> '{WINNER}')",
    ):
        empty_database.execute(sql)
    url = empty_database.url.replace("postgres@", "narrow@")
    with looking(Database(kind="postgresql", url=url)) as moment:
        best = moment.best(EXPERIMENT)
    assert best.run_id == OTHER
    assert [notice.code for notice in best.warnings] == ["rows-filtered"]


def test_a_database_of_another_program_is_named_by_what_it_has(
    empty_database: Database,
) -> None:
    empty_database.execute("CREATE TABLE invoices (id integer)")
    with pytest.raises(DatabaseNotUnderstoodError, match="invoices") as refusal:
        read(empty_database)
    assert refusal.value.exit_code == 78


@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
def test_numbers_for_times_are_seconds_or_milliseconds(
    empty_database: Database,
) -> None:
    build(empty_database)
    empty_database.execute("UPDATE runs SET created_at = 1767225600")
    empty_database.execute("UPDATE runs SET updated_at = 1767225600123")
    _, (run, *_) = read(empty_database)
    assert str(run.created_at) == "2026-01-01 00:00:00+00:00"
    assert str(run.updated_at) == "2026-01-01 00:00:00.123000+00:00"


def test_another_experiment_is_not_found(empty_database: Database) -> None:
    build(empty_database)
    with looking(empty_database) as moment, pytest.raises(ExperimentNotFoundError):
        moment.best(UUID(int=1))
