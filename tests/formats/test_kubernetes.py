"""Manifests that Kubernetes takes."""

import base64
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given

from formats.configs import NASTY, Config, configs
from formats.rendering import best, render
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

FORMATS = discover().formats
VERSION = "1.30"


def manifest(name: str, config: Config, **options: str) -> dict[str, Any]:
    body = render(FORMATS[name], best(config), **options).body
    found: dict[str, Any] = yaml.safe_load(body)
    return found


@pytest.mark.parametrize("name", ["configmap", "secret"])
def test_every_manifest_is_valid(name: str) -> None:
    for config in NASTY.values():
        for key in ("", "config.json"):
            try:
                found = manifest(name, config, key=key, prefix="APP_", namespace="x")
            except UnrepresentableError:
                continue
            kubernetes_validate.validate(found, VERSION, strict=True)


@given(configs)
def test_a_secret_says_the_same_as_a_config_map(config: Config) -> None:
    try:
        plain = manifest("configmap", config)["data"]
    except UnrepresentableError:
        return
    coded = manifest("secret", config)["data"]
    assert {
        key: base64.b64decode(text).decode() for key, text in coded.items()
    } == plain


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Über Summaries, v2!", "ber-summaries-v2"),
        ("x" * 100, "x" * 63),
        ("日本語", "experiment"),
        (f"{'a' * 62}-b", "a" * 62),
    ],
)
def test_the_name_is_made_to_fit(title: str, name: str) -> None:
    body = render(FORMATS["configmap"], best({}, experiment_name=title)).body
    assert yaml.safe_load(body)["metadata"]["name"] == name


def test_more_than_the_server_takes_is_refused_by_the_longest_value() -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        manifest("configmap", {"a": "x", "b": "y" * (1 << 20)})
    assert refusal.value.members["paths"] == ["b"]
