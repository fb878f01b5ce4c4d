"""Every run as a line of JSON."""

import json

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
