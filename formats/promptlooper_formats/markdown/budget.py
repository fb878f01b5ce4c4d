"""Which parts of the report there are if it may have only so many bytes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from promptlooper_formats.shared.quantities import counted, listed

LEAST = 500
"""Bytes in which there is room for the title, the verdict and what was left out."""

_SHARE = 8
"""The names of what was left out have room in an eighth of the bytes."""


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

    Of the headlines, the first that has room is taken; the last one always has.
    """
    kept: set[str] = set()
    texts = (_joined(headline, parts, kept, max_bytes) for headline in headlines)
    headline, best = next(
        (headline, text)
        for headline, text in zip(headlines, texts, strict=True)
        if _size(text) <= max_bytes
    )
    for part in sorted(parts, key=lambda part: part.importance):
        if part.belongs_to is None or part.belongs_to in kept:
            text = _joined(headline, parts, {*kept, part.name}, max_bytes)
            if _size(text) <= max_bytes:
                kept.add(part.name)
                best = text
    return best


def _joined(
    headline: str, parts: Sequence[Part], kept: Collection[str], max_bytes: int
) -> str:
    left_out = [part.name for part in parts if part.name not in kept]
    note = [_note(left_out, max_bytes)] if left_out else []
    texts = [part.text for part in parts if part.name in kept]
    return "\n\n".join((headline, *texts, *note)) + "\n"


def _note(names: Sequence[str], max_bytes: int) -> str:
    """Say what was left out: by name, as far as the names have room."""
    room = max_bytes // _SHARE
    found = (
        f"**Left out to stay within {max_bytes:,} bytes:** {said}."
        for said in (
            *(listed(names, most=most) for most in range(max(2, len(names)), 1, -1)),
            counted(len(names), "part"),
        )
    )
    return next(note for note in found if _size(note) <= room)


def _size(text: str) -> int:
    return len(text.encode())
