"""The JSON Schema of a line of the interchange file, from what the importer reads."""

from collections.abc import Mapping
from typing import Any, get_args

from marshmallow import Schema, fields

from promptlooper_export.documents import Status
from promptlooper_export.importers.fields import (
    LARGEST,
    Cases,
    Json,
    Moment,
    Number,
    Scores,
    Text,
    Whole,
)
from promptlooper_export.importers.members import CONFIG, SCHEMAS
from promptlooper_export.web.reference.json_schema import DIALECT

# In strict JSON, scores that are not finite are written as text.
_SCORE = {
    "anyOf": [{"type": ["number", "null"]}, {"enum": ["NaN", "Infinity", "-Infinity"]}]
}

_CASE = {"type": ["string", "null"]}

# A null member counts as absent.
_VALUES: Mapping[type[fields.Field[Any]], Mapping[str, Any]] = {
    fields.UUID: {"type": ["string", "null"], "format": "uuid"},
    Text: {"type": ["string", "null"]},
    Moment: {"type": ["string", "null"]},
    Whole: {"type": ["integer", "null"], "minimum": 0, "maximum": LARGEST},
    Number: {"type": ["number", "null"]},
    Json: {},
    Scores: {
        "type": ["object", "null"],
        "additionalProperties": {
            "anyOf": [_SCORE, {"type": "array", "items": _SCORE}],
        },
    },
    Cases: {
        "type": ["object", "null"],
        "additionalProperties": {
            "anyOf": [_CASE, {"type": "array", "items": _CASE}],
        },
    },
    fields.List: {"type": ["array", "null"], "items": {"$ref": "#/$defs/stage"}},
}


def interchange_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    return {
        "$schema": DIALECT,
        "$id": "interchange.json",
        "title": "interchange",
        "description": "A line of the interchange file: an experiment or a run of it.",
        "oneOf": [{"$ref": "#/$defs/experiment"}, {"$ref": "#/$defs/run"}],
        "$defs": {name: _object(name, schema) for name, schema in SCHEMAS.items()},
    }


def _object(name: str, schema: Schema) -> dict[str, Any]:
    members = {key: _member(field) for key, field in schema.fields.items()}
    required = [key for key, field in schema.fields.items() if field.required]
    if name == "run":
        config = {"type": ["object", "null"], "description": CONFIG}
        members = {"config": config, **members}
        members["status"]["enum"] = [*get_args(Status), None]
        required.append("config")
    if name != "stage":
        members = {"type": {"const": name}, **members}
        required.append("type")
    return {
        "type": "object",
        "properties": members,
        "required": required,
        "additionalProperties": False,
    }


def _member(field: fields.Field[Any]) -> dict[str, Any]:
    described = {**_VALUES[type(field)], "description": field.metadata["description"]}
    return described | {"type": "string"} if field.required else described
