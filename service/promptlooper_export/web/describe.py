"""Say what can be had: `/formats`."""

import json
from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields, missing
from marshmallow.validate import OneOf, Range

from promptlooper_export.documents import JSON
from promptlooper_export.registry import AnyFormat, Registry

_TYPES = (
    (fields.Boolean, "boolean"),
    (fields.Integer, "integer"),
    (fields.Float, "number"),
)


def blueprint(registry: Registry) -> Blueprint:
    """Route `/formats`; no token needed."""
    routes = Blueprint("describe", __name__)

    def formats() -> Response:
        # A stranger's default or choice may be any object.
        text = json.dumps({"formats": rows(registry)}, default=str)
        return Response(text, mimetype="application/json")

    routes.add_url_rule("/formats", view_func=formats)
    return routes


def rows(registry: Registry) -> list[dict[str, JSON]]:
    """Describe every format on offer."""
    return [
        _format(row) | _installation(registry.missing.get(row.name))
        for row in registry.formats.values()
    ]


def options(schema: type[Schema]) -> list[dict[str, JSON]]:
    """Describe each option of a format: name, type, and where declared what is allowed.

    `allowed` is a list of values, or an object with `minimum` and `maximum`.
    """
    return [
        _option(field.data_key or name, field)
        for name, field in schema().load_fields.items()
    ]


def _format(format: AnyFormat) -> dict[str, JSON]:  # noqa: A002  the field's word
    return {
        "name": format.name,
        "title": format.title,
        "document": format.document.__name__.lower(),
        "media_types": list(format.media_types),
        "extension": format.extension,
        "options": list(options(format.options)),
    }


def _installation(command: str | None) -> dict[str, JSON]:
    return (
        {"installed": True}
        if command is None
        else {
            "installed": False,
            "install": command,
        }
    )


def _option(name: str, field: fields.Field[Any]) -> dict[str, JSON]:
    row: dict[str, JSON] = {"name": name, "type": "string"}
    for kind, word in _TYPES:
        if isinstance(field, kind):
            row["type"] = word
    if field.load_default is not missing:
        row["default"] = field.load_default
    if "description" in field.metadata:
        row["description"] = field.metadata["description"]
    for validator in field.validators:
        if isinstance(validator, OneOf):
            row["allowed"] = list(validator.choices)
        elif isinstance(validator, Range):
            row["allowed"] = {"minimum": validator.min, "maximum": validator.max}
    return row
