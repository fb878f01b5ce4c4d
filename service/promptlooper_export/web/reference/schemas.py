"""The content of the service's answers, as marshmallow schemas."""

from collections.abc import Mapping

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from promptlooper_export.schemas import (
    BestSchema,
    DocumentSchema,
    ReportSchema,
    RunSchema,
)


class ProblemSchema(DocumentSchema):
    """Why a request was refused, and what to do next (RFC 9457).

    Other members depend on the type of the problem.
    """

    type = fields.String(
        required=True,
        metadata={
            "format": "uri-reference",
            "description": "The page that explains the problem.",
        },
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"minimum": 400, "maximum": 599})
    detail = fields.String(required=True)
    instance = fields.String(
        required=True,
        metadata={
            "format": "uri",
            "description": "The request, by the id that is also in the log.",
        },
    )
    available = fields.List(
        fields.Raw(), metadata={"description": "What is available instead."}
    )
    parameter = fields.String(
        metadata={"description": "The parameter that was refused."}
    )
    allowed = fields.Raw(
        metadata={"description": "The allowed values of the parameter."}
    )
    paths = fields.List(
        fields.String(), metadata={"description": "Paths in the config."}
    )


DOCUMENTS: Mapping[str, type[Schema]] = {
    "best": BestSchema,
    "report": ReportSchema,
    "runs": RunSchema,
    "problem": ProblemSchema,
}
"""The documents of answers, by name."""

SCHEMAS = (*DOCUMENTS, "interchange")
"""What has a JSON Schema that is served."""


class OptionSchema(DocumentSchema):
    """An option of a format."""

    name = fields.String(required=True)
    type = fields.String(
        required=True,
        validate=OneOf(["string", "integer", "number", "boolean"]),
    )
    default = fields.Raw(allow_none=True)
    description = fields.String()
    allowed = fields.Raw(
        metadata={"description": "A list of values, or `minimum` and `maximum`."}
    )


class FormatSchema(DocumentSchema):
    """An installed format."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    document = fields.String(required=True, validate=OneOf(["best", "report", "runs"]))
    media_types = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "The canonical type first, then aliases."},
    )
    extension = fields.String(required=True)
    options = fields.List(fields.Nested(OptionSchema), required=True)


class FormatsSchema(DocumentSchema):
    """Every installed format, in the order that breaks ties."""

    formats = fields.List(fields.Nested(FormatSchema), required=True)


class HealthSchema(DocumentSchema):
    """The state of the service."""

    status = fields.String(required=True, validate=OneOf(["live", "ready"]))
