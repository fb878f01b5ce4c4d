"""Every run as Parquet and Arrow: typed columns without a word to the reader."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

import secrets_corpus as corpus
from formats.rendering import MOMENT, RUN, render, row, table
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.redaction import redact
from promptlooper_export.registry import discover
from promptlooper_export.runs import StageResult

FORMATS = discover().formats


def read(name: str, body: bytes) -> Any:  # noqa: ANN401  pyarrow has no types
    if name == "parquet":
        return parquet.read_table(io.BytesIO(body))
    return pa.ipc.open_stream(io.BytesIO(body)).read_all()


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_every_column_has_the_type_of_its_values(name: str) -> None:
    rows = (
        row({"b": True, "i": 1, "f": 0.5, "t": "x", "n": None, "l": [1], "m": 1}),
        row({"b": False, "i": 2**62, "f": 2, "t": "", "l": [], "m": "1", "g": 2**70}),
    )
    found = read(name, render(FORMATS[name], table(*rows)).body)

    types = {field.name: str(field.type) for field in found.schema}
    assert {key: types[f"config.{key}"] for key in "biftnlmg"} == {
        "b": "bool", "i": "int64", "f": "double", "t": "string", "n": "string",
        "l": "string", "m": "string", "g": "string",
    }  # fmt: skip
    assert types["tokens_in"] == types["rank"] == "int64"
    assert types["weighted_score"] == types["cost_usd"] == "double"
    assert types["created_at"] == "timestamp[us, tz=UTC]"
    columns = found.to_pydict()
    assert columns["config.i"] == [1, 2**62]
    assert columns["config.f"] == [0.5, 2.0]
    assert columns["config.m"] == ["1", '"1"']
    assert columns["config.g"] == [None, str(2**70)]
    assert [json.loads(text) for text in columns["config"]] == [
        one.config for one in rows
    ]
    assert columns["created_at"] == [MOMENT, MOMENT]


def test_units_and_the_experiment_stand_in_the_metadata() -> None:
    found = read("parquet", render(FORMATS["parquet"], table(row({"a": 1}))).body)

    units = {field.name: (field.metadata or {}).get(b"unit") for field in found.schema}
    assert units["duration_ms"] == b"ms"
    assert units["tokens_out"] == b"tokens"
    assert units["cost_usd"] == b"USD"
    line = json.loads(found.schema.metadata[b"promptlooper.experiment"])
    assert (line["type"], line["name"]) == ("experiment", "summaries")


def test_what_is_nested_stays_so(tmp_path: Path) -> None:
    stage = StageResult(
        stage_name="draft", output="a", tokens_in=1, tokens_out=None, duration_ms=2
    )
    full = row({"a": 1}, stage_results=(stage, stage), scores={"s": 0.5})
    path = tmp_path / "runs.parquet"
    path.write_bytes(render(FORMATS["parquet"], table(full)).body)

    found = duckdb.connect().execute(
        'SELECT run_id, stage_results[2].duration_ms, "scores.s" FROM read_parquet(?)',
        [str(path)],
    )

    assert found.fetchall() == [(str(RUN), 2, 0.5)]


def test_an_experiment_without_runs_has_its_columns() -> None:
    found = read("parquet", render(FORMATS["parquet"], table()).body)
    assert found.num_rows == 0
    assert found.schema.names[0] == "run_id"


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_text_that_has_no_utf_8_is_refused_by_its_column(name: str) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        render(FORMATS[name], table(row({"a": {"b": "\ud800"}})))
    assert refusal.value.members["paths"] == ["config.a.b"]


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_a_table_with_redacted_names_has_every_value(name: str) -> None:
    first, second = corpus.SHAPES["OpenAI"], corpus.SHAPES["GitHub"]
    rows = [
        row({"api_key": {}}, scores={"api_key": 0.1, first: 0.2, second: 0.3}),
        row({"api_key": []}, scores={second: 0.4}),
        row({"api_key": "some text"}),
    ]
    judged = [
        replace(one, judgements={name: (score,) for name, score in one.scores.items()})
        for one in rows
    ]

    document = redact(table(*judged))
    columns = read(name, render(FORMATS[name], document).body).to_pydict()

    assert columns["config.api_key"] == ["{}", "[]", '"[redacted]"']
    assert columns["scores.api_key"] == [0.1, None, None]
    assert columns["scores.[redacted]"] == [0.2, 0.4, None]
    assert columns["scores.[redacted] 2"] == [0.3, None, None]
    assert columns["judgements"][1] == [("[redacted]", [0.4])]
