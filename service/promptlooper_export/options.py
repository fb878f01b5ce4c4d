"""Read the options of a format: pairs from a query string or from a command line."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from marshmallow import RAISE, Schema, ValidationError

from promptlooper_export.errors import (
    ExportError,
    FormatFailedError,
    InvalidParameterError,
)
from promptlooper_export.format import Format


@lru_cache(maxsize=256)
def strict(schema: type[Schema]) -> Schema:
    """Return the schema, made once, as it loads options: unknown ones are refused."""
    return schema(unknown=RAISE)


def names_of(schema: type[Schema]) -> list[str]:
    """Return the names of a schema's options, as queries have them."""
    fields = strict(schema).load_fields
    return [field.data_key or name for name, field in fields.items()]


def load_options(
    schema: type[Schema], pairs: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Validate the pairs with the schema and return the keywords of `render`.

    Raises InvalidParameterError for a name that the schema does not have, a name that
    comes twice and a value that the schema refuses; `parameter` holds the name, and
    `allowed`, for an unknown name, all the schema's names.
    """
    loader = strict(schema)
    allowed = names_of(schema)
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            detail = f"Unknown parameter {name!r}; {_choice(allowed)}."
            raise InvalidParameterError(detail, parameter=name, allowed=allowed)
        if name in values:
            detail = f"The parameter {name!r} is given more than once; give it once."
            raise InvalidParameterError(detail, parameter=name)
        values[name] = value
    try:
        loaded: dict[str, Any] = loader.load(values)
    except ValidationError as error:
        name, messages = next(iter(error.messages_dict.items()))
        reason = " ".join(messages) if isinstance(messages, list) else str(messages)
        detail = f"The parameter {name!r} has a value that is not allowed: {reason}"
        raise InvalidParameterError(detail, parameter=name) from None
    return loaded


def load_format_options(
    format: Format[Any],  # noqa: A002  the field's word
    pairs: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """Validate the pairs with the schema of a format, which may be a stranger's.

    Raises InvalidParameterError, and FormatFailedError where the schema raises
    anything but marshmallow's ValidationError.
    """
    try:
        return load_options(format.options, pairs)
    except ExportError:
        raise
    except Exception as error:
        kind = type(error).__name__
        detail = (
            f"The options of {format.name!r} failed: {kind}. Choose another format."
        )
        raise FormatFailedError(detail, format=format.name) from error


def _choice(allowed: list[str]) -> str:
    return f"allowed are: {', '.join(allowed)}" if allowed else "none is allowed here"
