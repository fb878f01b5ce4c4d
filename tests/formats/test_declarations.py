from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields

import plugins
from formats.rendering import best
from promptlooper_export.format import COMMON_PARAMETERS, as_format
from promptlooper_export.plugin import API_VERSION, Best, Format, Report
from promptlooper_export.registry import Registry, discover


class Options(Schema):
    dialect = fields.String(load_default="posix")
    style = fields.String(attribute="look", data_key="shown")


def render(best: Best, **_: object) -> Iterator[bytes]:
    yield best.config_hash.encode()


def declared(**changed: object) -> Format[Any]:
    declaration: dict[str, Any] = {
        "name": "mine",
        "title": "Mine",
        "document": Best,
        "media_types": ("application/x-mine",),
        "extension": "mine",
        "render": render,
    }
    return Format(**declaration | changed)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def reasons(registry: Registry) -> dict[tuple[str, str], str]:
    return {(row.distribution, row.name): row.reason for row in registry.broken}


@pytest.mark.parametrize(
    ("name", "document", "media_types", "extension"),
    [
        ("json", Best, ["application/json"], "json"),
        ("env", Best, ["text/plain", "application/x-dotenv"], "env"),
        (
            "yaml",
            Best,
            [
                "application/yaml",
                "text/yaml",
                "application/x-yaml",
                "text/x-yaml",
                "text/vnd.yaml",
            ],
            "yaml",
        ),
        ("markdown", Report, ["text/markdown"], "md"),
    ],
)
def test_a_built_in_format_is_found_as_a_strangers_is(
    name: str, document: type, media_types: list[str], extension: str
) -> None:
    found = discover().formats[name]

    assert found.document is document
    assert list(found.media_types) == media_types
    assert found.extension == extension


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"api_version": API_VERSION + 1}, "plugin API"),
        ({"name": "Mine"}, "name"),
        ({"name": "mine\n"}, "name"),
        ({"name": 7}, "name"),
        ({"title": " "}, "title"),
        ({"title": "Mi\nne"}, "title"),
        ({"document": dict}, "document"),
        ({"media_types": ()}, "media_types"),
        ({"media_types": "text/csv"}, "media_types"),
        ({"media_types": ("text/*",)}, "media_types"),
        ({"media_types": ("*/*",)}, "media_types"),
        ({"media_types": ("text/csv;q=0.5",)}, "media_types"),
        ({"media_types": ("text/csv; charset=utf-8",)}, "media_types"),
        ({"media_types": ("text/csv\r\nX-Evil: 1",)}, "media_types"),
        ({"media_types": ("text",)}, "media_types"),
        ({"media_types": (b"text/csv",)}, "media_types"),
        ({"media_types": ("text/x", "Text/X")}, "media_types"),
        ({"extension": ".csv"}, "extension"),
        ({"extension": "../x"}, "extension"),
        ({"options": Options()}, "options"),
        ({"options": dict}, "options"),
        ({"render": None}, "render"),
        ({"render": lambda: b""}, "render"),
        ({"render": lambda best, dialect: (best, dialect)}, "render"),
        ({"render": lambda best: best, "options": Options}, "render"),
        (
            {"render": lambda best, dialect: (best, dialect), "options": Options},
            "render",
        ),
        (
            {
                "render": lambda best, dialect, look: (best, dialect, look),
                "options": Options,
            },
            "render",
        ),
        (
            {
                "render": lambda best, dialect, shown="": (best, dialect, shown),
                "options": Options,
            },
            "render",
        ),
    ],
)
def test_a_declaration_that_cannot_be_offered_is_refused(
    changed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        declared(**changed)


@pytest.mark.parametrize("name", sorted(COMMON_PARAMETERS))
def test_an_option_cannot_be_called_as_a_parameter_of_every_format(name: str) -> None:
    options = Schema.from_dict({"other": fields.String(data_key=name)})
    with pytest.raises(ValueError, match=f"option '{name}'"):
        declared(options=options)


def test_the_description_of_an_option_must_be_text() -> None:
    options = Schema.from_dict({"look": fields.String(metadata={"description": 7})})
    with pytest.raises(ValueError, match="description of option 'look'"):
        declared(options=options)


def test_every_parameter_of_the_service_is_among_the_common_ones() -> None:
    from promptlooper_export.web import parameters  # noqa: PLC0415  as late as it may

    registry = discover()
    common = parameters.common_parameters(registry, negotiated=True)
    assert set(common().load_fields) <= COMMON_PARAMETERS


def test_options_are_keywords_of_render_under_their_attribute() -> None:
    def with_options(best: Best, *, dialect: str, look: str = "plain") -> bytes:
        return f"{best.config_hash} {dialect} {look}".encode()

    declared(options=Options, render=partial(with_options, dialect="docker"))
    made = declared(options=Options, render=with_options)
    assert list(made.stream(best({}), {"dialect": "posix"})) == [b"c0ffee posix plain"]


class Attributes:
    """A declaration without anything of ours but the document."""

    name = "plain"
    title = "Plain attributes"
    document = Best
    media_types = ("text/x-plain",)
    extension = "plain"

    def render(self, document: Best) -> bytes:
        return self.name.encode() + document.config_hash.encode()


@dataclass(frozen=True, kw_only=True)
class Subclass(Format[Best]):
    name: str = "subclass"
    title: str = "A subclass"
    document: type[Best] = Best
    media_types: tuple[str, ...] = ("text/x-subclass",)
    extension: str = "x"
    render: Any = render


@pytest.mark.parametrize(
    "declaration", [Attributes, Attributes(), Subclass, declared()]
)
def test_a_class_or_an_instance_declares_a_format(declaration: object) -> None:
    made = as_format(declaration)
    assert made.api_version == API_VERSION
    assert b"".join(made.stream(best({}))).endswith(b"c0ffee")  # type: ignore[arg-type]


@pytest.mark.parametrize("declaration", [7, render, Schema, object, plugins, None])
def test_what_lacks_an_attribute_declares_none(declaration: object) -> None:
    with pytest.raises(AttributeError, match="'name'"):
        as_format(declaration)


def test_whatever_happens_on_import_leaves_out_one_format(
    site: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    modules = {
        "exits": "raise SystemExit(3)",
        "interrupts": "raise KeyboardInterrupt",
        "recurses": "def again():\n    again()\nagain()",
        "unspeakable": "class E(Exception):\n    __str__ = None\nraise E",
        "misspelt": "def",
        "long_winded": "raise ValueError('a' * 10_000 + '\\n')",
        "empty": "",
        "not_made": "class FORMAT:\n    def __init__(self): raise SystemExit",
        "nonsense": "FORMAT = 7",
        "good": "print('good morning')\nFORMAT = declare('good', lambda best: b'')",
    }
    plugins.install(site, modules)
    registry = discover()

    assert list(registry.formats)[-1] == "good"
    assert {name.replace("-", "_") for _, name in reasons(registry)} == {*modules} - {
        "good"
    }
    assert len(caplog.records) == len(modules) - 1
    assert all(len(text) <= 300 for text in reasons(registry).values())
    assert all("\n" not in row.getMessage() for row in caplog.records)
    assert capsys.readouterr().out == ""


def test_the_first_of_a_name_or_media_type_is_offered_built_in_ones_before_all(
    site: Path,
) -> None:
    def module(name: str, media_type: str, title: str) -> str:
        others = f"media_types=({media_type!r},), title={title!r}, extension='json'"
        return f"FORMAT = declare({name!r}, lambda best: b'', {others})"

    plugins.install(
        site,
        {
            "twin_z": module("twin", "text/x-z", "later by package"),
            "cased": module("cased", "Text/X-A", "another case"),
        },
        package="zebra",
    )
    plugins.install(
        site,
        {
            "twin_a": module("twin", "text/x-a", "first by package"),
            "twin_b": module("twin", "text/x-b", "later by entry point"),
            "jsonish": module("json", "text/x-json", "a built-in name"),
            "yamlish": module("yamlish", "TEXT/VND.YAML", "a built-in type"),
            "same_extension": module("same", "text/x-same", "shares an extension"),
        },
        package="aardvark",
    )
    registry = discover()
    titles = {name: row.title for name, row in registry.formats.items()}

    assert titles["twin"] == "first by package"
    assert titles["same"] == "shares an extension"
    assert titles["json"] == "JSON"
    assert reasons(registry) == {
        ("aardvark", "jsonish"): "the name 'json' is taken",
        ("aardvark", "twin-b"): "the name 'twin' is taken",
        ("aardvark", "yamlish"): "the media type TEXT/VND.YAML is taken by 'yaml'",
        ("zebra", "cased"): "the media type Text/X-A is taken by 'twin'",
        ("zebra", "twin-z"): "the name 'twin' is taken",
    }


def test_two_packages_may_use_one_name_for_their_entry_points(site: Path) -> None:
    for package in ("one", "two"):
        folder = site / f"{package}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {package}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(
            f"[promptlooper_export.formats]\nexport = of_{package}:FORMAT\n"
        )
        (site / f"of_{package}.py").write_text(
            plugins.DECLARATION + f"FORMAT = declare('{package}', lambda best: b'')"
        )
    registry = discover()

    assert list(registry.formats)[-2:] == ["one", "two"]
    assert registry.broken == ()
