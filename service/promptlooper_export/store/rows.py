"""Read the values of a row, whatever they are.

SQLite keeps any value in any column, and PostgreSQL has times beyond our calendar. What
a column is not for is left out and named, so that one odd row harms no other.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnreadableRowError
from promptlooper_export.store.values import moment

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

    The row is called `owner`, followed by `row`, its id, where that is given.
    """

    def __init__(
        self, owner: str, warn: Callable[[Notice], None], *, row: UUID | None = None
    ) -> None:
        self._owner = owner
        self._warn = warn
        self._row = row

    def text(self, column: str, value: object) -> str | None:
        """Return text; in that which is no UTF-8, U+FFFD stands for what is not."""
        if isinstance(value, str) and not is_utf_8(value):
            self._name(column, "is not UTF-8: U+FFFD stands for what cannot be read")
            return label(value)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float | UUID):
            return str(value)
        self._leave_out(column, "is no text")
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
        if isinstance(value, float | Decimal):
            exact = Decimal(value)
            if exact.is_finite() and abs(exact) < _LARGEST and exact == int(exact):
                return int(exact)
        self._leave_out(column, "is no whole number")
        return None

    def number(self, column: str, value: object) -> float | None:
        """Return a finite number."""
        if value is None:
            return None
        if isinstance(value, Decimal):
            value = float(value)
        if isinstance(value, int | float) and math.isfinite(value):
            return value
        self._leave_out(column, "is no finite number")
        return None

    def time(self, column: str, value: object) -> datetime | None:
        """Return a moment in UTC."""
        if value is None:
            return None
        try:
            return moment(value)
        except (TypeError, ValueError, OverflowError, OSError):
            self._leave_out(column, "is no time")
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


def row_id(value: Any, table: str) -> UUID:  # noqa: ANN401  a driver's own type
    """Return the id of a row, in whichever spelling it is stored.

    Raises UnreadableRowError for what is not an id.
    """
    if isinstance(value, UUID):
        return value
    found = None
    if isinstance(value, bytes) and len(value) == _ID_BYTES:
        found = UUID(bytes=value)
    elif isinstance(value, str) and _ID.fullmatch(value):
        found = UUID(value)
    if found is None:
        detail = (
            f"A row of {table} has an invalid id: {label(value)[:80]!r} is not a "
            "UUID; correct that row."
        )
        raise UnreadableRowError(detail, table=table)
    return found
