"""Values of Terraform's variables."""

import json

import pytest

from formats.configs import Config
from formats.rendering import best, render
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

TFVARS = discover().formats["tfvars"]


def test_each_key_is_a_variable_and_templates_are_text() -> None:
    config: Config = {"model": {"name": "${x}", "a b": [1, None]}, "top_k": 8}
    assert json.loads(render(TFVARS, best(config)).body) == config


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"a b": 1, "c": 2}, ['"a b"']),
        ({"count": 1}, ["count"]),
        ({"//": 1, "": 2}, ['"//"', '""']),
        ({"7b": 1}, ["7b"]),
    ],
)
def test_what_can_be_no_variable_is_refused_by_path(
    config: Config, paths: list[str]
) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        render(TFVARS, best(config))
    assert refusal.value.members["paths"] == paths
    found = json.loads(render(TFVARS, best(config), variable="config").body)
    assert found == {"config": config}


def test_text_that_terraform_would_normalise_is_said() -> None:
    rendered = render(TFVARS, best({"a": "e\u0301", "b": "\u00e9"}))
    assert [(one.code, one.path) for one in rendered.notices] == [
        ("unicode-normalization", "a")
    ]
