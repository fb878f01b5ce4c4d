"""The best config as TOML."""

import tomllib

import pytest

from formats.configs import Config
from formats.rendering import best, render
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

TOML = discover().formats["toml"]


def test_a_whole_document_holds_the_config_and_what_it_is_of() -> None:
    document = best({"z": None, "a": {"b": 1}}, scores={"y": -0.5})

    found = tomllib.loads(render(TOML, document).text)

    assert found["config"] == {"a": {"b": 1}}
    assert found["scores"] == {"y": -0.5}
    assert found["weighted_score"] == 0.5
    assert found["run_id"] == str(document.run_id)
    assert found["exported_at"] == "2026-01-02T03:04:05Z"
    assert [(row["code"], row["path"]) for row in found["warnings"]] == [
        ("null-left-out", "z")
    ]


def test_null_is_left_out_and_said_in_the_file_and_beside_it() -> None:
    rendered = render(TOML, best({"a": None, "b": {"c": None, "d": 1}}), only="config")
    assert tomllib.loads(rendered.text) == {"b": {"d": 1}}
    assert [one.path for one in rendered.notices] == ["a", "b.c"]
    assert rendered.text.count("# Warning: ") == 2
    assert rendered.text.startswith(
        "# PromptLooper \u2014 Best config for: summaries\n"
    )


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"a": [1, None]}, "a.1"),
        ({"a": {"b": 2**63}}, "a.b"),
        ({"a": [-(2**63) - 1]}, "a.0"),
        ({"a": "\udfff"}, "a"),
    ],
)
def test_what_toml_cannot_hold_is_refused_by_path(config: Config, path: str) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        render(TOML, best(config))
    assert refusal.value.members["paths"] == [path]


def test_a_hostile_name_stays_in_its_comment() -> None:
    hostile = best({"a": 1}, experiment_name="x\r\nb = 2\u2028\x00")
    rendered = render(TOML, hostile, only="config")
    assert tomllib.loads(rendered.text) == {"a": 1}
