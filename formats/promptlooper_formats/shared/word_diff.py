"""Two texts side by side, word by word."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Literal

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")

_MOST_PAIRS = 1_000_000
"""Comparing two texts takes up to the product of their words; not more than this."""

_CONTEXT = 24
"""Of words that did not change, how many are shown on each side of those that did."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the texts that both have, only the old one, or only the new one."""

    kind: Literal["same", "old", "new", "left out"]
    text: str


def word_diff(old: str, new: str) -> list[Piece]:
    """Return what became of a text; long parts that did not change are left out.

    Texts too long to compare in full are split into what they begin and end with alike,
    and what is between.
    """
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    middle = before[start : len(before) - end], after[start : len(after) - end]
    return [
        *_same(before[:start], is_first=True, is_last=not end and not any(middle)),
        *_middle(*middle),
        *_same(before[len(before) - end :], is_first=False, is_last=True),
    ]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _middle(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    if len(old) * len(new) > _MOST_PAIRS:
        yield from _changed(old, new)
        return
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, low, high, new_low, new_high in matcher.get_opcodes():
        if kind == "equal":
            yield from _same(old[low:high], is_first=False, is_last=False)
        else:
            yield from _changed(old[low:high], new[new_low:new_high])


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    if old:
        yield Piece(kind="old", text="".join(old))
    if new:
        yield Piece(kind="new", text="".join(new))


def _same(words: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[Piece]:
    """Yield words that did not change, without what is far from any that did."""
    head = 0 if is_first else _CONTEXT
    tail = 0 if is_last else _CONTEXT
    hidden = words[head : len(words) - tail]
    if sum(not word.isspace() for word in hidden) <= _CONTEXT:
        if words:
            yield Piece(kind="same", text="".join(words))
        return
    if head:
        yield Piece(kind="same", text="".join(words[:head]))
    count = sum(word[0].isalnum() for word in hidden)
    yield Piece(kind="left out", text=f"{count:,} words as before")
    if tail:
        yield Piece(kind="same", text="".join(words[len(words) - tail :]))
