"""The exports in OpenAPI: every installed format with its options."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields

from promptlooper_export.documents import Best, Report, Runs
from promptlooper_export.errors import (
    NothingToExportError,
)
from promptlooper_export.negotiation import is_textual
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.schemas import BestSchema, ReportSchema
from promptlooper_export.web.exports import CLASSIC, NEGOTIATED_REFUSALS, REFUSALS
from promptlooper_export.web.parameters import common_parameters, names_for
from promptlooper_export.web.reference.json_schema import Converter
from promptlooper_export.web.reference.operations import (
    IF_NONE_MATCH,
    NOT_MODIFIED,
    Answer,
    Operation,
)

JSON_DOCUMENTS: Mapping[str, type[Schema]] = {
    "json": BestSchema,
    "report-json": ReportSchema,
}
"""The formats whose body is the document itself, as in its schema."""

CONFIG_ALONE: Mapping[str, Any] = {
    "type": "object",
    "description": "With only=config: the config alone.",
}

EXPERIMENT: Mapping[str, Any] = {
    "in": "path",
    "name": "experiment",
    "required": True,
    "description": "The experiment's id, a UUID: 32 hexadecimal digits, with hyphens.",
    "schema": {"type": "string", "format": "uuid"},
    "example": "6f1c2b7e-8d0a-4c55-9b1e-2f4a6d3c9e10",
}
EXAMPLES: Mapping[str, Best] = {
    "json": Best(
        experiment_name="support-answers",
        experiment_id=UUID(EXPERIMENT["example"]),
        exported_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        weighted_score=0.8734,
        scores={"accuracy": 0.91, "brevity": 0.8},
        run_id=UUID("0d9a7c52-3b1e-4f60-8a24-77c1e5b8d3f1"),
        config_hash="9097ad552dd9",
        config={"model": {"name": "small", "temperature": 0.2}, "top_k": 8},
    )
}
"""An example body for a format of JSON_DOCUMENTS."""

CONDITIONS = (
    IF_NONE_MATCH,
    {
        "in": "header",
        "name": "If-Match",
        "description": "The strong tag that the export must have, else 412.",
        "schema": {"type": "string"},
    },
    {
        "in": "header",
        "name": "Range",
        "description": "A single range of bytes, for an export with a strong tag.",
        "schema": {"type": "string"},
        "example": "bytes=0-1023",
    },
    {
        "in": "header",
        "name": "If-Range",
        "description": "The strong tag that the export must have for Range to count.",
        "schema": {"type": "string"},
    },
    {
        "in": "header",
        "name": "Accept-Encoding",
        "description": "Text formats can be compressed; 406 if no coding fits.",
        "schema": {"type": "string"},
        "example": "gzip",
    },
)
_FIELDS = (
    "ETag",
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Security-Policy",
    "X-Export-Warnings",
)


def export_operations(registry: Registry, converter: Converter) -> Iterator[Operation]:
    """Yield the negotiated resource, then the classic ones of installed formats."""
    formats = list(registry.formats.values())
    common = common_parameters(registry, negotiated=True)
    yield Operation(
        path="/experiments/{experiment}/export",
        id="export",
        tag="Exports",
        summary="Export an experiment in the requested format.",
        description=(
            "`format` names the format. Without it, the Accept header chooses, by "
            "RFC 9110, section 12.5.1; without Accept, the format is JSON."
        ),
        parameters=(
            EXPERIMENT,
            *_query(common, formats, converter),
            *CONDITIONS,
        ),
        answers=_answers(
            {
                media_type.lower(): _content(row, media_type)
                for row in formats
                for media_type in row.media_types
            },
            *_FIELDS,
            "Content-Location",
            "Link",
            "X-Row-Count",
        ),
        refusals=NEGOTIATED_REFUSALS,
        needs_token=True,
    )
    for segment, (name, media_type) in CLASSIC.items():
        if name in registry.formats:
            yield _classic(registry, segment, name, media_type, converter)


def _classic(
    registry: Registry,
    segment: str,
    name: str,
    media_type: str,
    converter: Converter,
) -> Operation:
    row = registry.formats[name]
    common = common_parameters(registry, negotiated=False)
    nothing = () if row.document in (Report, Runs) else (NothingToExportError,)
    return Operation(
        path=f"/api/export/experiments/{{experiment}}/{segment}",
        id=f"classic{segment.title()}",
        tag="Classic exports",
        summary=f"The same as `?format={name}`, at the path that PromptLooper uses.",
        parameters=(EXPERIMENT, *_query(common, [row], converter), *CONDITIONS),
        answers=_answers({media_type: _content(row, media_type)}, *_FIELDS),
        refusals=(*REFUSALS, *nothing),
        needs_token=True,
    )


def _answers(content: Mapping[str, Any], *headers: str) -> dict[int, Answer]:
    return {
        HTTPStatus.OK: Answer(
            description="The whole export.", content=content, headers=headers
        ),
        HTTPStatus.PARTIAL_CONTENT: Answer(
            description="The part that Range asks for.",
            content={media_type: {} for media_type in content},
            headers=(*headers, "Content-Range"),
        ),
        HTTPStatus.NOT_MODIFIED: replace(
            NOT_MODIFIED,
            headers=("ETag", *(name for name in headers if name == "Content-Location")),
        ),
    }


def _content(row: AnyFormat, media_type: str) -> dict[str, Any]:
    """Describe the body of a media type: the document, any data, text or bytes.

    OpenAPI tools treat YAML as data, like JSON.
    """
    if row.name in JSON_DOCUMENTS:
        schema = JSON_DOCUMENTS[row.name]
        if row.name in EXAMPLES:
            return {
                "schema": {"anyOf": [schema, CONFIG_ALONE]},
                "example": schema().dump(EXAMPLES[row.name]),
            }
        return {"schema": schema}
    if media_type.lower().endswith(("json", "yaml")):
        return {"schema": {}}
    if is_textual(media_type.lower()):
        return {"schema": {"type": "string"}}
    return {"schema": {"type": "string", "format": "binary"}}


def _query(
    common: type[Schema], formats: list[AnyFormat], converter: Converter
) -> Iterator[dict[str, Any]]:
    """Yield the common parameters, then the options of the formats by name.

    An option of several formats is one parameter, since OpenAPI forbids two with the
    same name.
    """
    shared = common().load_fields
    applicable = {name for row in formats for name in names_for(common, row.document)}
    for name, own in shared.items():
        if name in applicable:
            yield _parameter(name, [converter.field2property(own)])
    options: dict[str, dict[str, fields.Field[Any]]] = {}
    for row in formats:
        for name, own in row.options().load_fields.items():
            options.setdefault(own.data_key or name, {})[row.name] = own
    for name, owners in options.items():
        if name not in shared:
            properties = [converter.field2property(own) for own in owners.values()]
            yield _parameter(name, properties, of=list(owners))


def _parameter(
    name: str, properties: list[dict[str, Any]], of: list[str] | None = None
) -> dict[str, Any]:
    """Describe a query parameter; `of` names the formats that have it as an option."""
    descriptions = [
        row.pop("description").rstrip(".") + "."
        for row in properties
        if "description" in row
    ]
    if of:
        descriptions.append(f"An option of {', '.join(of)}.")
    different = [row for i, row in enumerate(properties) if row not in properties[:i]]
    return {
        "in": "query",
        "name": name,
        "description": " ".join(dict.fromkeys(descriptions)),
        "schema": different[0] if len(different) == 1 else {"anyOf": different},
    }
