"""JSON Schema 2020-12 from marshmallow schemas, through apispec.

OpenAPI 3.1 uses the same dialect, so one converter makes both descriptions.
"""

import inspect
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema

from promptlooper_export.schemas import Timestamp

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MEDIA_TYPE = "application/schema+json"

_COMPONENTS = "#/components/schemas/"


class Converter(OpenAPIConverter):
    """A converter that adds each schema's docstring and knows our own fields."""

    field_mapping = OpenAPIConverter.field_mapping | {
        Timestamp: ("string", "date-time")
    }

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        """Describe a schema, and add its docstring."""
        described: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        return {"description": inspect.getdoc(type(schema)), **described}


class Plugin(MarshmallowPlugin):
    """The plugin that teaches apispec marshmallow, with our converter."""

    Converter = Converter


def json_schema(name: str, schema: type[Schema]) -> dict[str, Any]:
    """Return the JSON Schema of a document.

    Its `$id` is relative to the URL it was fetched from, so the same bytes are right
    under every host name and behind a proxy that adds a prefix.
    """
    spec = APISpec(name, "", "3.1.0", plugins=[Plugin()])
    spec.components.schema(name, schema=schema)
    definitions = _with_local_references(spec.to_dict()["components"]["schemas"])
    root = definitions.pop(name)
    return {
        "$schema": DIALECT,
        "$id": f"{name}.json",
        "title": name,
        **root,
        "$defs": definitions,
    }


def _with_local_references(value: Any) -> Any:  # noqa: ANN401  any JSON
    if isinstance(value, dict):
        return {
            key: (
                member.replace(_COMPONENTS, "#/$defs/")
                if key == "$ref"
                else _with_local_references(member)
            )
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [_with_local_references(member) for member in value]
    return value
