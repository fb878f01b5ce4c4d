"""Rows that no runner should write, and some day one does."""

from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.runs import StageResult
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR
from webservice import Service, problem

ODD, FINE = UUID(int=0xAB), UUID(int=2)
BEST, SECOND = UUID(int=11), UUID(int=12)
ROWS = {"experiments": ODD, "runs": BEST, "scores": BEST, "stage_results": BEST}
KEYS = {
    "experiments": "id",
    "runs": "id",
    "scores": "run_id",
    "stage_results": "run_id",
}

NO_TEXT = "x'C3280041'"  # a blob, and no UTF-8 either
INVALID_UTF_8 = "CAST(x'61C328' AS TEXT)"
HUGE = "9e999"
LONG = "replace(hex(zeroblob(131072)), '00', 'ab')"  # 256 KiB
DEEP = f"'{'[' * 5000}'"

TEXTS = {"a blob": NO_TEXT, "no UTF-8": INVALID_UTF_8, "a number": "7",
         "empty": "''", "with NUL": "'a' || char(0) || 'b'"}  # fmt: skip
JSONS = {**TEXTS, "no JSON": "'{'", "deep": DEEP, "a list": "'[1]'",
         "NaN": "'{\"a\": NaN}'"}  # fmt: skip
TIMES = {"a blob": NO_TEXT, "no UTF-8": INVALID_UTF_8, "garbage": "'yesterday'",
         "a number": "1767225600", "infinite": HUGE, "empty": "''", "now": "'now'",
         "year 0": "'0000-01-01 00:00:00'", "no day": "'2026-02-30 00:00:00'",
         "late": "'9999-12-31 23:59:59-14:00'"}  # fmt: skip
NUMBERS = {"a blob": NO_TEXT, "text": "'fast'", "no UTF-8": INVALID_UTF_8,
           "infinite": HUGE, "negative": "-1", "largest": "9223372036854775807",
           "a fraction": "0.5", "a large real": "1e300"}  # fmt: skip

COLUMNS = {
    "experiments": {
        "name": {**TEXTS, "long": LONG}, "description": TEXTS,
        "status": {**TEXTS, "other": "'lost'"},
        "parameter_space": JSONS, "scoring_config": JSONS,
        "created_at": TIMES, "updated_at": TIMES,
    },
    "runs": {
        "name": TEXTS, "status": {**TEXTS, "other": "'lost'"},
        "config": {**JSONS, "long": LONG}, "config_hash": TEXTS, "error": TEXTS,
        "tags": JSONS,
        "tokens_in": NUMBERS, "tokens_out": NUMBERS, "duration_ms": NUMBERS,
        "cost_usd": NUMBERS,
        "created_at": TIMES, "started_at": TIMES, "finished_at": TIMES,
        "updated_at": TIMES,
    },
    "scores": {"value": NUMBERS, "scorer_name": TEXTS},
    "stage_results": {
        "stage_name": TEXTS, "output": TEXTS, "tokens_in": NUMBERS,
        "duration_ms": NUMBERS,
    },
}  # fmt: skip

CELLS = [(table, column) for table, columns in COLUMNS.items() for column in columns]


def fill(database: Database) -> None:
    stage = StageResult(
        stage_name="draft", output="text", tokens_in=1, tokens_out=2, duration_ms=3
    )
    odd = experiment(
        run({"accuracy": 0.9}, id=BEST, stage_results=(stage,), duration_ms=5),
        run({"accuracy": 0.5}, id=SECOND, duration_ms=7, tokens_in=3),
        id=ODD,
    )
    database.load(odd, experiment(run({"accuracy": 0.7}), id=FINE, name="fine"))


def write(database: Database, table: str, column: str, value: str) -> None:
    database.execute(
        f"UPDATE {table} SET {column} = {value} WHERE {KEYS[table]} = ?", ROWS[table]
    )


def statuses(service: Service) -> dict[str, int]:
    """Ask for the odd experiment in every format, and for both lists."""
    path = f"/experiments/{ODD}/export"
    formats = service.client.get("/formats").get_json()["formats"]
    answers = {
        row["name"]: service.ask(f"{path}?format={row['name']}") for row in formats
    }
    answers["reproducible"] = service.ask(f"{path}?reproducible=1")
    for accept in ("application/json", "text/html"):
        answers[accept] = service.ask("/experiments", headers={"Accept": accept})
        assert str(FINE) in answers[accept].get_data(as_text=True)
    fine = service.ask(f"/experiments/{FINE}/export?format=markdown")
    assert fine.status_code == 200
    return {name: answer.status_code for name, answer in answers.items()}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("table", "column"), CELLS)
def test_an_odd_cell_harms_no_other_row_and_is_no_fault_of_the_service(
    service: Service, database: Database, table: str, column: str
) -> None:
    fill(database)
    answers = {}
    for kind, value in COLUMNS[table][column].items():
        write(database, table, column, value)
        answers[kind] = statuses(service)

    faults = {
        (kind, name): status
        for kind, found in answers.items()
        for name, status in found.items()
        if status not in (200, 404, 422)
    }
    assert faults == {}


def test_there_are_enough_odd_cells() -> None:
    assert sum(len(COLUMNS[table][column]) for table, column in CELLS) > 150


BEYOND = ("infinity", "-infinity", "4713-01-01 BC", "294276-01-01")
UNBOUND = ("NaN", "Infinity", "-Infinity", "1e308")
BOUNDS = ("9223372036854775807", "-9223372036854775808")
POSTGRESQL = [
    *(("experiments", name, BEYOND) for name in ("created_at", "updated_at")),
    *(("runs", name, BEYOND)
      for name in ("created_at", "started_at", "finished_at", "updated_at")),
    *(("runs", name, BOUNDS) for name in ("tokens_in", "tokens_out", "duration_ms")),
    *(("runs", name, ("", "lost")) for name in ("status", "name", "config_hash")),
    ("runs", "cost_usd", UNBOUND),
    ("scores", "value", UNBOUND),
]  # fmt: skip


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("table", "column", "values"), POSTGRESQL)
def test_so_it_is_with_what_postgresql_can_hold(
    service: Service,
    database: Database,
    table: str,
    column: str,
    values: tuple[str, ...],
) -> None:
    fill(database)
    for value in values:
        write(database, table, column, f"'{value}'")
        assert set(statuses(service).values()) <= {200, 404, 422}, value


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("odd", ["'x'", NO_TEXT, "''", "'{' || id || '}'"])
def test_a_row_whose_id_is_none_is_named_or_not_there(
    service: Service, database: Database, odd: str
) -> None:
    fill(database)
    database.execute("UPDATE scores SET run_id = 'x' WHERE run_id = ?", BEST)
    database.execute(f"UPDATE runs SET id = {odd} WHERE id = ?", BEST)
    assert set(statuses(service).values()) <= {200, 422}
    named = service.ask(f"/experiments/{ODD}/export?format=ndjson")
    assert "correct that row" in problem(named, 422, "unreadable-row")["detail"]
    database.execute(f"UPDATE experiments SET id = {odd} WHERE id = ?", ODD)
    assert set(statuses(service).values()) == {200, 404}
    listed = service.ask("/experiments").get_json()["items"]
    assert [row["id"] for row in listed] == [str(FINE)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("experiments", "created_at", "'yesterday'"),
        ("experiments", "name", INVALID_UTF_8),
        ("experiments", "description", NO_TEXT),
        ("runs", "config_hash", NO_TEXT),
        ("runs", "duration_ms", "'fast'"),
        ("runs", "tokens_in", HUGE),
        ("runs", "tokens_out", "0.5"),
        ("runs", "cost_usd", NO_TEXT),
    ],
)
def test_what_is_left_out_is_named(
    database: Database, table: str, column: str, value: str
) -> None:
    fill(database)
    write(database, table, column, value)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        warnings = snapshot.report(ODD, top_n=5).warnings
    whose = "the experiment" if table == "experiments" else f"run {BEST}"
    (warning,) = [row for row in warnings if row.path == column]
    assert warning.code == "unreadable-value"
    assert warning.message.startswith(f"The {column} of {whose} is ")
    assert warning.message.endswith("correct that row.")
