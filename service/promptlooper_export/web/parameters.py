"""Read the id and the query of a request, strictly."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from marshmallow import Schema, ValidationError, fields

from promptlooper_export.documents import Report
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.options import load_options
from promptlooper_export.registry import AnyFormat, Registry

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""The parameters of a query, in its order."""

FORMAT = "format"
TOP_N = "top_n"

_ID = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE
)


class WholeNumber(fields.Integer):
    """A whole number in ASCII digits, within its bounds.

    marshmallow's own takes other scripts' digits, white space and underscores, too.
    """

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:  # noqa: ANN401
        """Bound the values, both ends allowed."""
        self.minimum = minimum
        self.maximum = maximum
        super().__init__(metadata={"minimum": minimum, "maximum": maximum}, **kwargs)

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401  marshmallow's signature
        attr: str | None,  # noqa: ARG002
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> int:
        if re.fullmatch(r"[0-9]{1,18}", value):
            number = int(value)
            if self.minimum <= number <= self.maximum:
                return number
        msg = f"Must be a whole number from {self.minimum} to {self.maximum}."
        raise ValidationError(msg)


class NoParameters(Schema):
    """What every format of every document has."""


class ReportParameters(NoParameters):
    """What the formats of the report document have in common."""

    top_n = WholeNumber(1, 50)


def read_id(text: str) -> UUID | None:
    """Read an id, hyphenated in any case or as 32 hex digits; None where it is neither."""
    return UUID(text) if _ID.fullmatch(text) else None


def experiment_id(text: str) -> UUID:
    """Read the id in a path. Raises InvalidParameterError."""
    experiment = read_id(text)
    if experiment is None:
        detail = "The id of an experiment is a UUID, such as 2f1c…-…-…; GET /experiments."
        raise InvalidParameterError(detail, parameter="id")
    return experiment
