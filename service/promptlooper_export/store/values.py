"""Stored values as the documents hold them."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from promptlooper_export.documents import JSON, Notice
from promptlooper_export.plugin import Path

DEEPEST = 500
"""Levels of nesting that are read; Python ends a program's recursion at 1000 calls."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds: as seconds they would be beyond 5138."""

_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"


class InvalidJsonError(ValueError):
    """Text that is no strict JSON, and why; `path` says where, if that is known."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


def strict_json(text: str | None) -> tuple[JSON, tuple[Notice, ...]]:
    """Decode JSON text, with a notice for each object that repeats a key.

    Raises InvalidJsonError for anything that RFC 8259 has no form for (NaN, infinity),
    for a number beyond a double, and for text that is nested too deeply to be read.
    """
    if text is None:
        reason = "is NULL"
        raise InvalidJsonError(reason)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            reason = "is not UTF-8"
            raise InvalidJsonError(reason) from None
    if text.count("{") + text.count("[") <= DEEPEST:
        try:
            return _FLAWLESS.decode(text), ()
        except (ValueError, RecursionError):
            pass  # what is wrong, if anything, takes longer to say
    return _flawed_json(text)


def _flawed_json(text: str) -> tuple[JSON, tuple[Notice, ...]]:
    """Decode JSON text that may be deep, or may not be strict: see strict_json."""
    repeated: list[str] = []

    def pairs(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
        value = dict(items)
        if len(value) < len(items):
            keys = [key for key, _ in items]
            repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return value

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise InvalidJsonError(_TOO_DEEP) from None
    except ValueError as error:
        reason = f"is not JSON ({error})"
        raise InvalidJsonError(reason) from error
    for path, number in _floats(value, ()):
        if not math.isfinite(number):
            reason = f"holds {number}"
            raise InvalidJsonError(reason, str(Path(path)))
    notices = tuple(
        Notice(
            code="repeated-key",
            message=f"The stored JSON repeats the key {key!r}: the last value counts.",
            path=key,
        )
        for key in repeated
    )
    return value, notices


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _distinct(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(items)
    if len(value) < len(items):
        raise ValueError(items)
    return value


# Strict by its hooks alone, which cost a fraction of a second look at every value.
_FLAWLESS = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_finite
)


def json_value(text: str | None, path: str) -> tuple[JSON, tuple[Notice, ...]]:
    """Decode a column that may be NULL; text that is not JSON becomes a notice."""
    if text is None:
        return None, ()
    try:
        return strict_json(text)
    except InvalidJsonError as error:
        message = f"The stored {path} {error} and is left out."
        return None, (Notice(code="invalid-json", message=message, path=path),)


def moment(value: Any) -> datetime:  # noqa: ANN401  a driver's own type
    """Return a stored moment in UTC; no zone means UTC.

    SQLite keeps text in any form of ISO 8601, or a number: seconds since 1970, or
    milliseconds as Prisma writes them. Raises TypeError, ValueError or OverflowError.
    """
    if isinstance(value, datetime):
        stored = value
    elif isinstance(value, date):
        stored = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, int | float):
        seconds = value if abs(value) < _MILLISECONDS else value / 1000
        stored = datetime.fromtimestamp(seconds, UTC)
    else:
        stored = datetime.fromisoformat(value)
    if stored.tzinfo is None:
        return stored.replace(tzinfo=UTC)
    if stored.tzinfo is UTC:
        return stored
    return stored.astimezone(UTC)


def microseconds(value: Any) -> int | None:  # noqa: ANN401  a driver's own type
    """Return a stored moment in microseconds since 1970; None for what is no moment."""
    try:
        since = moment(value.decode() if isinstance(value, bytes) else value) - _EPOCH
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return since // _MICROSECOND


def _floats(
    value: JSON, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], float]]:
    if len(path) > DEEPEST:
        raise InvalidJsonError(_TOO_DEEP)
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _floats(member, (*path, key))
    elif isinstance(value, list):
        for place, member in enumerate(value):
            yield from _floats(member, (*path, str(place)))
