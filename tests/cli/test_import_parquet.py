"""Our Parquet, imported: the same values are accepted and refused as in NDJSON."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export.runs import StageResult

pytestmark = on_sqlite


@pytest.fixture
def table(console: Console, database: Database) -> pa.Table:
    """Export an experiment, and return the table that Parquet's library reads."""
    stage = StageResult(
        stage_name="judge", output=None, tokens_in=1, tokens_out=2, duration_ms=3
    )
    database.load(
        experiment(
            run({"accuracy": [0.5, 1]}, tags=["x"], stage_results=(stage,)),
            run({"accuracy": 0.25}, config={"a": 1}),
            name="summaries",
        )
    )
    console.run("export", "summaries", "-o", "runs.parquet").check_returncode()
    database.execute("DELETE FROM scores")
    database.execute("DELETE FROM stage_results")
    database.execute("DELETE FROM runs")
    database.execute("DELETE FROM experiments")
    return parquet.read_table(console.directory / "runs.parquet")


def refused(console: Console, table: pa.Table) -> str:
    parquet.write_table(table, console.directory / "edited.parquet")
    done = console.run("import", "edited.parquet")
    assert done.returncode == 1, done.stderr
    said = done.stderr.decode()
    assert said.count("\n") == 1
    return said.removeprefix("promptlooper-export: edited.parquet: ").rstrip()


def with_column(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.array(values))


def with_experiment(table: pa.Table, **members: object) -> pa.Table:
    line = json.loads(table.schema.metadata[b"promptlooper.experiment"]) | members
    return table.replace_schema_metadata({"promptlooper.experiment": json.dumps(line)})


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("run_id", ["seven", "eight"], "run 1: id: Not a valid UUID."),
        ("run_id", [7, 8], "run 1: id: Not a valid UUID."),
        ("name", [None, 7], "run 2: name: Not a valid string."),
        (
            "status",
            ["completed", "done"],
            (
                "run 2: status: Must be one of: pending, "
                "running, completed, failed, cancelled, pruned."
            ),
        ),
        ("config", ["[]", "{}"], "run 1: config: must be there and be an object"),
        (
            "config",
            ["{}", "{} {}"],
            ("run 2: config: not valid JSON: there is more after its end"),
        ),
        (
            "config",
            ['{"a": NaN}', "{}"],
            ("run 1: config: not valid JSON: NaN is not a JSON value"),
        ),
        ("config", [1, 2], "run 1: config: must be JSON as text"),
        (
            "tags",
            ["x", None],
            ("run 1: tags: not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ),
        (
            "tokens_in",
            [1.5, None],
            ("run 1: tokens_in: Must be a whole number from 0 to 9223372036854775807."),
        ),
        (
            "duration_ms",
            [-1, None],
            (
                "run 1: duration_ms: Must be a whole number from 0 "
                "to 9223372036854775807."
            ),
        ),
        ("cost_usd", [float("nan"), None], "run 1: cost_usd: Must be a finite number."),
        (
            "created_at",
            ["today", None],
            ("run 1: created_at: Must be a moment such as 2026-01-31T12:00:00Z."),
        ),
        (
            "created_at",
            [20, 30],
            ("run 1: created_at: Must be a moment such as 2026-01-31T12:00:00Z."),
        ),
        (
            "judgements",
            [1, 2],
            ("run 1: scores: Must be an object of scorer names and scores."),
        ),
        ("stage_results", ["a", "b"], "run 1: stage_results: Not a valid list."),
        (
            "stage_results",
            [[{"stage": "a"}], []],
            (
                "run 1: unknown member 'stage'; did "
                "you mean stage_name?; import --lenient leaves it out"
            ),
        ),
    ],
)
def test_a_column_of_another_type_is_refused_with_its_run(
    console: Console, table: pa.Table, column: str, values: list[object], said: str
) -> None:
    assert refused(console, with_column(table, column, values)) == said


def test_a_run_without_a_config_column_is_refused(
    console: Console, table: pa.Table
) -> None:
    assert refused(console, table.drop_columns(["config"])) == (
        "run 1: config: must be there and be an object"
    )


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"id": 7}, "the experiment: id: Not a valid UUID."),
        (
            {"created_at": 7},
            (
                "the experiment: created_at: Must be a moment such as "
                "2026-01-31T12:00:00Z."
            ),
        ),
        (
            {"nam": "x"},
            (
                "the experiment: unknown member 'nam'; did you mean name?; "
                "import --lenient leaves it out"
            ),
        ),
        (
            {"type": "trial"},
            (
                'the experiment: the member "type" must be "experiment" or '
                '"run"; an export as ndjson has it with the option header=1'
            ),
        ),
    ],
)
def test_an_experiment_of_another_shape_is_refused(
    console: Console, table: pa.Table, members: dict[str, object], said: str
) -> None:
    assert refused(console, with_experiment(table, **members)) == said


def test_a_column_that_no_export_has_is_refused_or_left_out(
    console: Console, table: pa.Table
) -> None:
    more = table.append_column("judgement", pa.array([1, 2]))
    assert refused(console, more) == (
        "unknown member 'judgement'; did you mean judgements?; import --lenient leaves "
        "it out"
    )
    done = console.run("import", "--lenient", "edited.parquet")
    assert done.stderr.decode().splitlines() == [
        (
            "warning: edited.parquet: unknown member 'judgement' left out wherever "
            "it is; "
            "did you mean judgements?"
        ),
        "imported 1 experiment, 2 runs",
    ]


@pytest.mark.usefixtures("table")
def test_a_file_with_a_damaged_page_is_refused(console: Console) -> None:
    path: Path = console.directory / "runs.parquet"
    data = bytearray(path.read_bytes())
    data[40:400] = b"\0" * 360
    path.write_bytes(data)
    done = console.run("import", path.name)
    assert done.returncode == 1
    assert done.stderr.startswith(
        b"promptlooper-export: runs.parquet: cannot be read: "
    )
    assert done.stderr.count(b"\n") == 1


@pytest.mark.usefixtures("table")
def test_what_is_imported_from_parquet_is_exported_with_the_same_bytes(
    console: Console,
) -> None:
    before = (console.directory / "runs.parquet").read_bytes()
    console.run("import", "runs.parquet").check_returncode()
    console.run("export", "summaries", "-o", "again.parquet").check_returncode()
    assert (console.directory / "again.parquet").read_bytes() == before
