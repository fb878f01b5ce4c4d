"""Manifests that Kubernetes takes."""

import base64
from dataclasses import replace
from typing import Any
from uuid import UUID

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


@pytest.mark.parametrize("title", ["summaries", "a-1", "x" * 63])
def test_a_name_that_kubernetes_takes_is_kept(title: str) -> None:
    rendered = render(FORMATS["configmap"], best({}, experiment_name=title))
    assert yaml.safe_load(rendered.body)["metadata"]["name"] == title
    assert rendered.codes == []


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Über Summaries, v2!", "ber-summaries-v2-19c51b17"),
        ("x" * 100, f"{'x' * 54}-19c51b17"),
        ("日本語", "experiment-19c51b17"),
        (f"{'a' * 53}-b{'c' * 20}", f"{'a' * 53}-19c51b17"),
        ("Summaries", "summaries-19c51b17"),
    ],
)
def test_a_name_that_is_made_to_fit_ends_with_a_mark_and_is_told(
    title: str, name: str
) -> None:
    rendered = render(FORMATS["configmap"], best({}, experiment_name=title))
    assert yaml.safe_load(rendered.body)["metadata"]["name"] == name
    [notice] = rendered.notices
    assert (notice.code, notice.path) == ("changed-name", None)
    assert repr(title) in notice.message
    assert name in notice.message


@pytest.mark.parametrize("kind", ["configmap", "secret"])
def test_different_experiments_never_get_one_name(kind: str) -> None:
    titles = (
        "客服回答", "摘要", "Support answers", "support_answers!", "support-answers",
        f"{'x' * 70}-alpha", f"{'x' * 70}-beta", "Summaries", "Summaries",
    )  # fmt: skip
    documents = [
        replace(best({}, experiment_name=title), experiment_id=UUID(int=number))
        for number, title in enumerate(titles)
    ]
    names = {
        yaml.safe_load(render(FORMATS[kind], one).body)["metadata"]["name"]
        for one in documents
    }
    assert len(names) == len(titles)
    assert all(len(name) <= 63 for name in names)


def test_a_chosen_name_stays_as_it_is() -> None:
    document = best({}, experiment_name="日本語")
    rendered = render(FORMATS["configmap"], document, name="chosen")
    assert yaml.safe_load(rendered.body)["metadata"]["name"] == "chosen"
    assert rendered.codes == []


@pytest.mark.parametrize(
    ("kind", "size", "codes"),
    [
        ("configmap", 200_000, []),
        ("configmap", 262_144, ["too-large-to-apply"]),
        ("secret", 190_000, []),
        ("secret", 200_000, ["too-large-to-apply"]),
    ],
)
def test_a_manifest_that_kubectl_applies_only_on_the_server_is_told(
    kind: str, size: int, codes: list[str]
) -> None:
    rendered = render(FORMATS[kind], best({"prompt": "x" * size}))
    assert rendered.codes == codes
    assert all("--server-side" in notice.message for notice in rendered.notices)


def test_more_than_the_server_takes_is_refused_by_the_longest_value() -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        manifest("configmap", {"a": "x", "b": "y" * (1 << 20)})
    assert refusal.value.members["paths"] == ["b"]
