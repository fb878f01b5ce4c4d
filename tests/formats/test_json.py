import json
from typing import Any, NoReturn

import pytest
from hypothesis import given

from formats.configs import NASTY, Config, configs, same
from formats.rendering import Rendered, best, render
from promptlooper_export.documents import Best, Notice
from promptlooper_formats.json import JSON_FORMAT


def rendered(document: Best) -> Rendered:
    return render(JSON_FORMAT, document)


def read(text: str) -> dict[str, Any]:
    """Read as RFC 8259 has it: json.loads alone would take NaN."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_config_reads_back_identically(name: str) -> None:
    config = NASTY[name]

    assert same(read(rendered(best(config)).text)["config"], config)


def test_the_config_alone_is_given_where_only_that_is_asked_for() -> None:
    found = render(JSON_FORMAT, best({"seed": 2**60}), only="config")

    assert read(found.text) == {"seed": 2**60}
    assert [one.code for one in found.notices] == ["big-integer"]


@given(configs)
def test_any_config_reads_back_identically(config: Config) -> None:
    assert same(read(rendered(best(config)).text)["config"], config)


def test_members_come_in_the_order_that_is_promised() -> None:
    text = rendered(best({"b": 1, "a": 2})).text

    assert list(read(text)) == [
        "experiment_name",
        "experiment_id",
        "exported_at",
        "weighted_score",
        "scores",
        "run_id",
        "config_hash",
        "config",
        "warnings",
    ]
    assert list(read(text)["config"]) == ["b", "a"]


def test_members_hold_what_the_document_holds() -> None:
    document = best({"k": 1}, experiment_name="é", scores={"a": 1.0, "b": -0.25})

    assert read(rendered(document).text) == {
        "experiment_name": "é",
        "experiment_id": "11111111-2222-4333-8444-555555555555",
        "exported_at": "2026-01-02T03:04:05Z",
        "weighted_score": 0.5,
        "scores": {"a": 1.0, "b": -0.25},
        "run_id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "config_hash": "c0ffee",
        "config": {"k": 1},
        "warnings": [],
    }


def test_text_can_be_read_by_people() -> None:
    text = rendered(best({"prompt": "Grüße, 世界"})).text

    assert '\n    "prompt": "Grüße, 世界"\n' in text
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")


def test_a_lone_surrogate_leaves_other_text_readable() -> None:
    body = rendered(best({"k": "é\ud800"}, experiment_name="\udfff")).body

    assert '"k": "é\\ud800"'.encode() in body
    assert read(body.decode())["experiment_name"] == "\udfff"


def test_an_integer_that_doubles_round_is_named_beside_the_body_and_in_it() -> None:
    config: Config = {"exact": 2**53, "deep": {"seeds": [1, -(2**53) - 1]}}
    warning = Notice(code="tie", message="Two runs are best.")

    found = rendered(best(config, warnings=(warning,)))

    assert [(notice.code, notice.path) for notice in found.notices] == [
        ("big-integer", "deep.seeds.1")
    ]
    assert read(found.text)["warnings"] == [
        {"code": "tie", "message": "Two runs are best."},
        {
            "code": "big-integer",
            "message": found.notices[0].message,
            "path": "deep.seeds.1",
        },
    ]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_form_for_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        rendered(best({"k": number}))
