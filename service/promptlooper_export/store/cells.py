"""Read the cells of a row, whatever they hold.

SQLite keeps any value in any column, and PostgreSQL has times beyond our calendar. What
a column is not for is left out and named, so that one odd row harms no other.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnreadableRowError
from promptlooper_export.store.values import moment

UNKNOWN = "unknown"
"""What a status that cannot be read is called."""

_LARGEST = 1 << 63


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
        if isinstance(value, int | float):
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
        if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST:
            return int(value)
        self._leave_out(column, "is no whole number")
        return None

    def number(self, column: str, value: object) -> float | None:
        """Return a finite number."""
        if value is None:
            return None
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
        except (TypeError, ValueError, OverflowError):
            self._leave_out(column, "is no time")
            return None

    def required_time(self, column: str, value: object) -> datetime | None:
        """Return a moment where the column should never be NULL."""
        if value is None:
            self._leave_out(column, "is NULL")
            return None
        return self.time(column, value)

    def _leave_out(self, column: str, reason: str) -> None:
        self._name(column, f"{reason} and is left out")

    def _name(self, column: str, reason: str) -> None:
        owner = self._owner if self._row is None else f"{self._owner} {self._row}"
        message = f"The {column} of {owner} {reason}; correct that row."
        self._warn(Notice(code="unreadable-value", message=message, path=column))


def is_utf_8(text: str) -> bool:
    """Tell whether a column held UTF-8; SQLite does not look."""
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
    """Return the id of a row; raises UnreadableRowError for what is none."""
    if isinstance(value, UUID):
        return value
    try:
        found = UUID(value)
    except (TypeError, ValueError, AttributeError):
        found = None
    if found is None or found.hex != value:
        detail = (
            f"A row of {table} has the id {label(value)[:80]!r}, which is not 32 "
            "hexadecimal digits in lower case; correct that row."
        )
        raise UnreadableRowError(detail, table=table)
    return found
