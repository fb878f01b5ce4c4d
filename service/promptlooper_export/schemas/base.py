"""What all schemas share."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_dump

from promptlooper_export.configs import JSON


def timestamp(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with `Z`; one without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Timestamp(fields.Field[datetime]):
    """A moment as RFC 3339 in UTC with `Z`."""

    def _serialize(
        self,
        value: datetime | None,
        attr: str | None,  # noqa: ARG002  marshmallow's signature
        obj: object,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> str | None:
        return None if value is None else timestamp(value)

    def _deserialize(self, value: object, *_: object, **__: object) -> datetime:
        try:
            return datetime.fromisoformat(str(value))
        except ValueError as error:
            msg = "Must be a time as RFC 3339 writes it."
            raise ValidationError(msg) from error


def mapping(values: fields.Field[Any], **kwargs: Any) -> fields.Dict:  # noqa: ANN401
    """Return the field of an object with any keys."""
    return fields.Dict(keys=fields.String(), values=values, **kwargs)


def scores() -> fields.Dict:
    """Return the field of an object of scorers and numbers."""
    return mapping(fields.Float(), required=True)


class DocumentSchema(Schema):
    """Base of the documents' schemas: readers must accept members added later."""

    class Meta:
        """Unknown members are kept, and written in the order of declaration."""

        unknown = INCLUDE
        ordered = True


class NoticeSchema(DocumentSchema):
    """Something a reader of the export should know."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    path = fields.String()

    @post_dump
    def _drop_absent_path(self, data: dict[str, JSON], **_: object) -> dict[str, JSON]:
        return {
            key: value
            for key, value in data.items()
            if key != "path" or value is not None
        }
