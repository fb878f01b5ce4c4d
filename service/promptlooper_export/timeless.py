"""Bodies without the time of the export, from which those of other times are made."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from promptlooper_export.documents import Notice
from promptlooper_export.schemas import timestamp
from promptlooper_export.spool import Body, Space, spool

LONGEST = 1 << 16
"""The longest body that is kept, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Timeless:
    """A body without the time of the export, which goes between the `parts`."""

    title: str
    content: bytes
    parts: tuple[bytes, ...]
    notices: tuple[Notice, ...]

    def at(self, moment: datetime, *, limit: int, space: Space) -> Body:
        """Return the body for a document of this moment; raises what spool() raises."""
        text = timestamp(moment).encode().join(self.parts)
        return spool(
            [*self.notices, text],
            title=self.title,
            content=self.content,
            row_count=None,
            last_run=None,
            limit=limit,
            space=space,
        )

    def now(self, *, limit: int, space: Space) -> Body:
        """Return the body for a document of this very moment."""
        return self.at(datetime.now(UTC), limit=limit, space=space)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is kept of an export: a digest of its content, and its body if possible."""

    content: bytes
    body: Timeless | None

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return 1024 + (0 if self.body is None else sum(map(len, self.body.parts)))


def without_time(body: Body, moment: datetime | None) -> Timeless:
    """Leave a moment out of a body, or nothing if there is none in it."""
    whole = b"".join(body.chunks())
    return Timeless(
        title=body.title,
        content=body.content,
        parts=tuple(whole.split(_written(moment))) if moment else (whole,),
        notices=body.notices,
    )


def timeless(
    body: Body, moment: datetime, render: Callable[[datetime], Body]
) -> Timeless | None:
    """Leave out the moment that a body was rendered for, if that is all that it takes.

    The body is rendered once more, for another moment. None if the two differ in
    anything but the times, written as RFC 3339 has them: then nobody knows what the
    body of a third moment is. Raises what `render` raises.
    """
    found = without_time(body, moment)
    another = _another(moment)
    with render(another) as other:
        is_same = found == without_time(other, another)
    return found if is_same else None


def _written(moment: datetime) -> bytes:
    return timestamp(moment).encode()


def _another(moment: datetime) -> datetime:
    """Return a time that differs in year, month, day and so on to the microsecond."""
    return moment.replace(
        year=moment.year - 1,
        month=moment.month % 12 + 1,
        day=moment.day % 28 + 1,
        hour=(moment.hour + 1) % 24,
        minute=(moment.minute + 1) % 60,
        second=(moment.second + 1) % 60,
        microsecond=moment.microsecond % 999_999 + 1,
    )
