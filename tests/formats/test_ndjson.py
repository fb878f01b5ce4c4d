"""Every run as a line of JSON."""

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given

from formats.configs import Config, configs
from formats.rendering import MOMENT, RUN, render, row, table
from promptlooper_export.plugin import StageResult
from promptlooper_formats.ndjson import NDJSON


def test_each_run_is_an_object_on_its_own_line() -> None:
    stage = StageResult(
        stage_name="draft", output="a\nb", tokens_in=1, tokens_out=None, duration_ms=2
    )
    full = row(
        {"k": [1, {"x": None}]}, name="é", rank=1, weighted_score=0.5,
        scores={"a": 0.5}, tags=["t"], stage_results=(stage,), finished_at=MOMENT,
    )  # fmt: skip

    body = render(NDJSON, table(full, row())).body

    first, second = map(json.loads, body.decode().splitlines())
    assert first == {
        "run_id": str(RUN),
        "name": "é",
        "status": "completed",
        "weighted_score": 0.5,
        "rank": 1,
        "config": {"k": [1, {"x": None}]},
        "config_hash": "c0ffee",
        "scores": {"a": 0.5},
        "tokens_in": None,
        "tokens_out": None,
        "duration_ms": None,
        "cost_usd": None,
        "error": None,
        "tags": ["t"],
        "stage_results": [
            {
                "stage_name": "draft",
                "output": "a\nb",
                "tokens_in": 1,
                "tokens_out": None,
                "duration_ms": 2,
            }
        ],
        "created_at": "2026-01-02T03:04:05Z",
        "started_at": None,
        "finished_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
    }
    assert second["config"] is None
    assert list(second) == list(first)


@given(configs)
def test_every_config_is_read_back_from_one_line(config: Config) -> None:
    body = render(NDJSON, table(row(config))).body

    assert body.endswith(b"\n")
    [line] = body[:-1].split(b"\n")
    assert json.loads(line)["config"] == config


def test_the_first_integer_that_doubles_round_is_named() -> None:
    rows = (row({"k": 2**53}), row({"seed": 2**53 + 1}), row({"seed": 2**60}))

    assert [
        (notice.code, notice.path) for notice in render(NDJSON, table(*rows)).notices
    ] == [("big-integer", "seed")]


SEPARATED = "scraped\u2028prose\u2029with\x85marks"


@pytest.mark.parametrize("options", [{}, {"header": True}], ids=str)
def test_readers_that_end_lines_at_other_separators_read_whole_records(
    options: dict[str, bool],
) -> None:
    config: Config = {SEPARATED: [SEPARATED]}
    document = table(row(config, name=SEPARATED), row({}))

    body = render(NDJSON, document, **options).body

    lines = body.decode().splitlines()
    assert lines == body.decode().split("\n")[:-1]
    assert json.loads(lines[-2])["config"] == config
    assert json.loads(lines[-2])["name"] == SEPARATED


@pytest.mark.parametrize(
    ("configs", "paths"),
    [
        ([{"model": 1, "Model": 2}], ["config.Model"]),
        ([{"model": 1}, {"Model": 2}, {"model": 1, "Model": 2}], ["config.Model"]),
        ([{"a": {"k": 1}, "A": {"l": 1}}], ["config.A"]),
        ([{"a": {"k": 1}}, {"a": {"K": 1}}], ["config.a.K"]),
        ([{"a": [{"k": 1}, {"K": 1}]}], ["config.a.K"]),
        ([{"a": {"k": 1}, "b": {"K": 1}}], []),
    ],
)
def test_keys_that_differ_by_case_only_are_named_once(
    configs: list[Config], paths: list[str]
) -> None:
    found = render(NDJSON, table(*map(row, configs))).notices

    assert [(one.code, one.path) for one in found] == [
        ("keys-differ-by-case", path) for path in paths
    ]


def test_duckdb_refuses_keys_that_a_warning_names(tmp_path: Path) -> None:
    file = tmp_path / "runs.ndjson"
    rendered = render(NDJSON, table(row({"model": "a", "Model": "b"})))
    file.write_bytes(rendered.body)

    with pytest.raises(duckdb.Error):
        duckdb.execute("SELECT * FROM read_json(?)", [str(file)]).fetchall()
    assert rendered.codes == ["keys-differ-by-case"]


def test_scorers_that_differ_by_case_only_are_named() -> None:
    found = render(NDJSON, table(row({}, scores={"f1": 1.0, "F1": 0.5}))).notices

    assert [one.path for one in found] == ["scores.F1"]
