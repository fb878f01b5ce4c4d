"""What our own readers make of our files: the inverse of what was written."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.configs import Config, configs
from formats.rendering import best, render
from formats.variables import variables
from promptlooper_export.comparison import changes
from promptlooper_export.configs import JSON
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

FORMATS = discover().formats
WHOLE: list[tuple[str, dict[str, Any]]] = [
    ("json", {}),
    ("json", {"only": "config"}),
    ("yaml", {}),
    ("yaml", {"only": "config"}),
    ("tfvars", {"variable": "config"}),
    ("configmap", {"key": "config.json"}),
]
VARIABLES: list[tuple[str, dict[str, Any]]] = [
    *(("env", {"dialect": name}) for name in ("posix", "python", "compose")),
    ("env", {}),
    ("env", {"dialect": "node"}),
    ("env", {"dialect": "docker"}),
    ("configmap", {}),
    ("secret", {}),
    ("github-output", {}),
]


def read(name: str, data: bytes, options: Mapping[str, Any]) -> Mapping[str, JSON]:
    reader = FORMATS[name].read
    assert reader is not None
    return reader(data, **options)


def rendered(name: str, config: Config, options: Mapping[str, Any]) -> bytes | None:
    """Render a config; None where the format refuses it, by path."""
    try:
        return render(FORMATS[name], best(config), **options).body
    except UnrepresentableError as error:
        if not error.members["paths"]:
            raise
        return None


@pytest.mark.parametrize(("name", "options"), WHOLE, ids=str)
@given(config=configs)
def test_a_config_is_read_back_as_it_was(
    name: str, options: dict[str, Any], config: Config
) -> None:
    body = rendered(name, config, options)
    if body is None:
        return
    found = read(name, body, options)
    assert json.dumps(found) == json.dumps(config)
    assert list(changes(config, found)) == []


@pytest.mark.parametrize(("name", "options"), VARIABLES, ids=str)
@given(config=configs)
def test_variables_are_read_back_as_they_were(
    name: str, options: dict[str, Any], config: Config
) -> None:
    body = rendered(name, config, options)
    if body is None:
        return
    found = read(name, body, options)
    wanted = variables(config)
    assert found.keys() == wanted.keys()
    for key, (_, value) in wanted.items():
        if value is None or isinstance(value, str):
            assert found[key] == (value or "")
        else:
            assert json.dumps(json.loads(str(found[key]))) == json.dumps(value)


@pytest.mark.parametrize(
    ("name", "options"), [("json", {}), ("tfvars", {"variable": "config"})], ids=str
)
@given(config=configs, share=st.floats(0, 1, exclude_max=True))
def test_no_beginning_of_a_file_is_read(
    name: str, options: dict[str, Any], config: Config, share: float
) -> None:
    body = rendered(name, config, options)
    if body is None:
        return
    cut = body[: int(len(body) * share)]
    if cut.strip() != body.strip():
        with pytest.raises(ValueError):  # noqa: PT011  each says another thing
            read(name, cut, options)
