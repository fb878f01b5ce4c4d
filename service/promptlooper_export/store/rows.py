"""Read the values of rows, whatever they are, and name those that are invalid.

SQLite keeps any value in any column, and PostgreSQL has times beyond our calendar. What
a column is not for is left out and named, so that one odd row harms no other.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from promptlooper_export.configs import JSON, Path, repeated, strict_json
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnreadableRowError
from promptlooper_export.redaction import redact_text

UNKNOWN = "unknown"
"""What a status that cannot be read is called."""

COMPLETED = "completed"
"""The status of runs that may count."""

_LARGEST = 1 << 63

_ID_BYTES = 16

_ID = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*", re.IGNORECASE
)
"""An id as text; CHAR(36) may be padded with spaces."""


class Cells:
    """Reads the cells of one row, and warns of those it leaves out.

    The row is called `owner`, followed by `row`, its id, if that is given.
    """

    def __init__(
        self, owner: str, warn: Callable[[Notice], None], *, row: UUID | None = None
    ) -> None:
        self._owner = owner
        self._warn = warn
        self._row = row

    def text(self, column: str, value: object) -> str | None:
        """Return text, with U+FFFD in place of bytes that are not UTF-8."""
        if isinstance(value, str) and not is_utf_8(value):
            self._name(column, "is not UTF-8: U+FFFD stands for what cannot be read")
            return label(value)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float | UUID):
            return str(value)
        self._leave_out(column, "is not text")
        return None

    def required_text(self, column: str, value: object, *, instead: str = "") -> str:
        """Return text where the column should never be NULL."""
        if value is None:
            self._leave_out(column, "is NULL")
        text = self.text(column, value)
        return instead if text is None else text

    def whole(self, column: str, value: object) -> int | None:
        """Return a whole number."""
        if isinstance(value, int) or value is None:
            return value
        # From a column of another type, or from SQLite, which may hold 3.0 for 3.
        if isinstance(value, float | Decimal):
            exact = Decimal(value)
            if exact.is_finite() and abs(exact) < _LARGEST and exact == int(exact):
                return int(exact)
        self._leave_out(column, "is not a whole number")
        return None

    def number(self, column: str, value: object) -> float | None:
        """Return a finite number."""
        if value is None:
            return None
        if isinstance(value, Decimal):
            value = float(value)
        if isinstance(value, int | float) and math.isfinite(value):
            return value
        self._leave_out(column, "is not a finite number")
        return None

    def time(self, column: str, value: object) -> datetime | None:
        """Return a moment in UTC."""
        if value is None:
            return None
        try:
            return moment(value)
        except (TypeError, ValueError, OverflowError, OSError):
            self._leave_out(column, "is not a time")
            return None

    def _leave_out(self, column: str, reason: str) -> None:
        self._name(column, f"{reason} and is left out")

    def _name(self, column: str, reason: str) -> None:
        owner = self._owner if self._row is None else f"{self._owner} {self._row}"
        message = f"The {column} of {owner} {reason}; correct that row."
        self._warn(Notice(code="unreadable-value", message=message, path=column))


def is_utf_8(text: str) -> bool:
    """Return whether the text is valid UTF-8, which SQLite does not enforce."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def label(value: object) -> str:
    """Return what to call a status or a scorer, which may be anything."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return UNKNOWN if value is None else str(value)


def row_id(value: Any, table: str) -> UUID:
    """Return the id of a row, in whichever spelling it is stored.

    Raises UnreadableRowError for anything but an id.
    """
    if isinstance(value, UUID):
        return value
    found = None
    if isinstance(value, bytes) and len(value) == _ID_BYTES:
        found = UUID(bytes=value)
    elif isinstance(value, str) and _ID.fullmatch(value):
        found = UUID(value)
    if found is None:
        shown = redact_text(label(value))[:80]
        detail = (
            f"A row of {table} has an invalid id: {shown!r} is not a "
            "UUID; correct that row."
        )
        raise UnreadableRowError(detail, table=table)
    return found


_HEX = re.compile(r"(?:[0-9a-f]{32}\n)*")


def ids_as_text(values: Sequence[object], table: str) -> list[str]:
    """Return the ids of rows in their usual form; raises UnreadableRowError."""
    if set(map(type, values)) == {str}:
        joined = "\n".join(map(str, values)) + "\n"
        if _HEX.fullmatch(joined):
            return [
                f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}"
                for one in joined.split()
            ]
    return [str(row_id(value, table)) for value in values]


DEEPEST = 500
"""Levels of nesting that are read; Python ends a program's recursion at 1000 calls."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds: in seconds they are after the year 5138."""

_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"


class InvalidJsonError(ValueError):
    """Text that is not strict JSON, and why; `path` says where, if that is known."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


def stored_json(text: str | None) -> tuple[JSON, tuple[Notice, ...]]:
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
    # Fewer brackets cannot be nested too deeply. Those in strings count as well, which
    # costs such a text no more than the slower way.
    if text.count("{") + text.count("[") <= DEEPEST:
        try:
            return strict_json(text), ()
        except (ValueError, RecursionError):
            pass  # what is wrong, if anything, takes longer to say
    return _flawed_json(text)


def _flawed_json(text: str) -> tuple[JSON, tuple[Notice, ...]]:
    """Decode JSON text that may be deep, or may not be strict: see stored_json."""
    flaws: list[str] = []

    def pairs(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
        value = dict(items)
        if len(value) < len(items):
            flaws.extend(repeated(key for key, _ in items))
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
        for key in flaws
    )
    return value, notices


def json_value(text: str | None, path: str) -> tuple[JSON, tuple[Notice, ...]]:
    """Decode a column that may be NULL; text that is not JSON becomes a notice."""
    if text is None:
        return None, ()
    try:
        return stored_json(text)
    except InvalidJsonError as error:
        message = f"The stored {path} {error} and is left out."
        return None, (Notice(code="invalid-json", message=message, path=path),)


def moment(value: Any) -> datetime:
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


def microseconds(value: Any) -> int | None:
    """Return a stored moment in microseconds since 1970; None if it is not a moment."""
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
