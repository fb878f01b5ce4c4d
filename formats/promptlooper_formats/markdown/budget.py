"""Which parts of the report there are if it may have only so many bytes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from promptlooper_formats.shared.quantities import counted, listed

LEAST = 500
"""Bytes in which there is room for the title, the verdict and what was left out."""

_SHARE = 8
"""The names of what was left out have room in an eighth of the bytes, if not more."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the report that is there in full or not at all.

    The lower its `importance`, the earlier it gets room. A part that belongs to another
    one is there only with that one.
    """

    name: str
    importance: int
    belongs_to: str | None
    text: str


def fit(headlines: Sequence[str], parts: Sequence[Part], max_bytes: int) -> str:
    """Join what has room in the order of the parts, and name what has none.

    Of the headlines, the first that has room is taken; the last one always has. What
    the parts leave free goes to the names of those that were left out.
    """

    def joined(headline: str, kept: Collection[str]) -> str:
        """Name what is left out briefly, to see what else there is room for."""
        note = next(_notes(parts, kept, max_bytes, room=max_bytes // _SHARE))
        return _joined(headline, parts, kept, note)

    headline = next(one for one in headlines if _size(joined(one, ())) <= max_bytes)
    kept: set[str] = set()
    for part in sorted(parts, key=lambda part: part.importance):
        if part.belongs_to is None or part.belongs_to in kept:
            wider = {*kept, part.name}
            if _size(joined(headline, wider)) <= max_bytes:
                kept = wider
    return next(
        text
        for note in _notes(parts, kept, max_bytes, room=max_bytes)
        if _size(text := _joined(headline, parts, kept, note)) <= max_bytes
    )


def _joined(
    headline: str, parts: Sequence[Part], kept: Collection[str], note: str
) -> str:
    texts = [part.text for part in parts if part.name in kept]
    return "\n\n".join((headline, *texts, *([note] if note else []))) + "\n"


def _notes(
    parts: Sequence[Part], kept: Collection[str], max_bytes: int, *, room: int
) -> Iterator[str]:
    """Say what was left out: by name, then with fewer and fewer names."""
    names = [part.name for part in parts if part.name not in kept]
    if not names:
        yield ""
        return
    for said in (
        *(listed(names, most=most) for most in range(max(2, len(names)), 1, -1)),
        counted(len(names), "part"),
    ):
        note = f"**Left out to stay within {max_bytes:,} bytes:** {said}."
        if _size(note) <= room:
            yield note


def _size(text: str) -> int:
    return len(text.encode())
