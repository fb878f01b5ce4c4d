"""The description of the service that programs read."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields
from marshmallow.validate import OneOf
from openapi_spec_validator import validate

from promptlooper_export.plugin import Best, Format
from promptlooper_export.registry import Registry
from promptlooper_export.web.reference.openapi import openapi
from webservice import Service

EXPORT = "/experiments/{experiment}/export"
STRANGER = """
from marshmallow import Schema, fields
from marshmallow.validate import Range
from promptlooper_export.plugin import Best, Format

class Options(Schema):
    width = fields.Integer(
        data_key="line-width", validate=Range(1, 80), load_default=72,
        metadata={"description": "Characters of a line."},
    )
    odd = fields.Raw(load_default=object())

FORMAT = Format(name="stranger", title="Stranger", document=Best, options=Options,
    media_types=("Application/X-Stranger", "application/x-stranger+json"),
    extension="x", render=lambda best, **options: iter(()))
"""


def described(service: Service, **environ: str) -> dict[str, Any]:
    response = service.client.get("/openapi.json", environ_overrides=environ)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    document: dict[str, Any] = response.get_json()
    return document


def parameters(document: dict[str, Any], path: str = EXPORT) -> dict[str, Any]:
    rows = document["paths"][path]["get"]["parameters"]
    return {row["name"]: row for row in rows}


def test_the_description_is_valid(service_without_database: Service) -> None:
    document = described(service_without_database)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_route_is_described(service_without_database: Service) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in service_without_database.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    rows = {
        (path, method)
        for path, methods in described(service_without_database)["paths"].items()
        for method in methods
    }
    assert rows == routes


def test_what_needs_a_token_says_so(service_without_database: Service) -> None:
    document = described(service_without_database)
    for path, methods in document["paths"].items():
        if "{" in path:
            continue
        answer = service_without_database.client.get(path)
        security = methods["get"]["security"]
        assert (answer.status_code == 401) == bool(security), path
        assert ("401" in methods["get"]["responses"]) == bool(security), path


def test_every_registered_format_is_described(
    service_without_database: Service, install_format: Callable[[str], None]
) -> None:
    install_format(STRANGER)
    service = Service(service_without_database.settings)
    document = described(service)
    validate(document)

    export = parameters(document)
    formats = service.client.get("/formats").get_json()["formats"]
    assert export["format"]["schema"]["enum"] == [row["name"] for row in formats]
    content = document["paths"][EXPORT]["get"]["responses"]["200"]["content"]
    assert list(content) == [
        media_type.lower() for row in formats for media_type in row["media_types"]
    ]
    best = content["application/json"]
    whole, alone = best["schema"]["anyOf"]
    assert whole == {"$ref": "#/components/schemas/Best"}
    assert alone["type"] == "object"
    schema = service.client.get("/schemas/best.json").get_json()
    Draft202012Validator(schema).validate(best["example"])
    assert content["application/x-stranger"]["schema"]["format"] == "binary"
    assert content["application/x-stranger+json"]["schema"] == {}
    assert export["line-width"]["description"] == (
        "Characters of a line. An option of stranger."
    )
    assert export["line-width"]["schema"] == {
        "type": "integer",
        "default": 72,
        "minimum": 1,
        "maximum": 80,
    }


def test_an_option_of_two_formats_is_one_parameter() -> None:
    def format_with(name: str, *values: str) -> Format[Best]:
        field = fields.String(validate=OneOf(values))
        return Format(
            name=name,
            title=name,
            document=Best,
            media_types=(f"text/x-{name}",),
            extension="x",
            options=Schema.from_dict({"style": field}),
            render=lambda _best, **_options: iter(()),
        )

    formats = (format_with("one", "a"), format_with("two", "a", "b"))
    registry = Registry(formats={row.name: row for row in formats}, versions={})
    style = parameters(openapi(registry))["style"]

    assert style["description"] == "An option of one, two."
    assert [row["enum"] for row in style["schema"]["anyOf"]] == [["a"], ["a", "b"]]


def test_a_parameter_is_described_only_where_it_may_be_given(
    service_without_database: Service,
) -> None:
    document = described(service_without_database)
    classic = "/api/export/experiments/{experiment}"
    assert "top_n" in parameters(document, f"{classic}/report")
    assert "top_n" not in parameters(document, f"{classic}/best")
    assert "format" not in parameters(document, f"{classic}/report")


@pytest.mark.parametrize(("prefix", "server"), [("", "/"), ("/loop", "/loop")])
def test_the_paths_stand_under_the_prefix_of_a_proxy(
    service_without_database: Service, prefix: str, server: str
) -> None:
    document = described(service_without_database, SCRIPT_NAME=prefix)
    assert document["servers"] == [{"url": server}]


def test_the_service_starts_without_what_describes_it() -> None:
    source = (
        "import sys, promptlooper_export.web.app; sys.exit('apispec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
