"""Our own exports that do not hold all, imported again."""

import json
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from importers.sources import read_one
from promptlooper_export.errors import SourceError
from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.records import RunRecord
from promptlooper_export.registry import discover
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

RUNS = [
    run(
        {"a": [0.25, 0.75], "b": 1e-300},
        config={
            "text": "1.10", "=x": "=1+1", "a.b": {"c": [], "d": {}}, "none": None,
            "big": 2**60, "yes": True, "list": [1, "é"], "empty": "", "half": 0.5,
            "'": "'='", "lines": "a\n\u2028b", "in\\": {'a"\\': {"\\.b": 1}},
        },
        name="=name",
        tags={"t": [1, None]},
        cost_usd=0.1,
        tokens_in=2**60,
    ),
    run(status="failed", error="no\r\nanswer"),
    run({"b": 0.25}, tags=["x"], status="pruned"),
]  # fmt: skip

OPTIONS = [
    ("csv", {}),
    ("csv", {"delimiter": ";", "decimal": ",", "bom": True}),
    ("ndjson", {}),
]


def exported(database: Database, path: Path, **options: object) -> None:
    record = experiment(*RUNS, name="summaries")
    database.load(record)
    store = open_store(database.url)
    body = export(
        store,
        OPERATOR,
        record.id,
        discover().formats[path.suffix[1:]],
        options,
        selection=Selection(redact=False),
        limits=Limits(spool_bytes=1 << 30),
    )
    with body:
        path.write_bytes(body.file.read())
    store.close()


def told(run: RunRecord) -> object:
    return (
        run.id, run.name, run.status, json.loads(run.config), run.config_hash, run.tags,
        run.tokens_in, run.cost_usd, run.error, run.created_at, run.updated_at,
    )  # fmt: skip


@on_sqlite
@pytest.mark.parametrize(("format", "options"), OPTIONS)
def test_a_table_of_runs_is_imported_as_it_was(
    database: Database, tmp_path: Path, format: str, options: dict[str, object]
) -> None:
    path = tmp_path / f"runs.{format}"
    exported(database, path, **options)
    record, runs = read_one(path)
    assert record.name == "runs"
    assert [told(run) for run in runs] == [told(run) for run in RUNS]
    assert [run.scores for run in runs] == [
        {"a": (0.5,), "b": (1e-300,)},
        {},
        {"b": (0.25,)},
    ]
    assert "has no scoring rules" in record.warnings[0]


@on_sqlite
def test_the_best_config_is_imported_as_the_only_run(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "best.json"
    exported(database, path)
    record, [best] = read_one(path)
    assert record.name == "summaries"
    assert (best.id, json.loads(best.config), best.scores) == (
        RUNS[0].id,
        json.loads(RUNS[0].config),
        {"a": (0.5,), "b": (1e-300,)},
    )


HEADER = "run_id,name,status,weighted_score,rank,config.a,config_hash,scores.b\n"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("x,,,,,,,", "id: Not a valid UUID"),
        (f"{RUNS[0].id},,,,,high,,", "config.a: 'high' is not a number"),
        (f"{RUNS[0].id},,won,,,,,", "status: 'won' is not a number"),
        (f"{RUNS[0].id},,,,,,,0.5,", "has 9 cells, but the header has 8"),
    ],
)
def test_a_row_that_we_did_not_write_is_refused(
    tmp_path: Path, row: str, why: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{HEADER}{row}\n")
    with pytest.raises(SourceError, match=r"runs\.csv:2: ") as raised:
        read_one(path)
    assert why in raised.value.detail
