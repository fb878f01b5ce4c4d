"""Text, tables and bars inside Markdown: whatever they say, it is never markup."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from promptlooper_export.plugin import JSON, check_deadline, in_time
from promptlooper_formats.shared.text import visible, write_json

# What means something to some renderer; as entities, characters mean themselves. For
# those who read the source, _ inside a word and :!& before a space are left alone.
_MEANINGFUL = re.compile(
    r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|[:!&](?! |\Z)"
    r"|[\\`*{}\[\]<>#|~$@^\"'\t\n\u2028\u2029\ufeff\xa0]++"
)
# Renderers trim cells and lines. Each run of spaces is looked at once: tried again from
# its second space, and so on, a long run in the middle would take the square of its
# length.
_EDGE_SPACE = re.compile(r"\A\s+|(?<!\s)\s++\Z")
# GitHub turns www.example.com into a link, without a scheme.
_WWW = re.compile(r"(?<=www)\.", re.IGNORECASE)
# A pipe ends the cell even within code, and code has no entities to write it with.
_NOT_IN_CODE = re.compile(r"[`|<]")

_WIDEST = 80
"""The widest column, in characters, to which cells are padded."""

_CUT = 60
"""Characters of a value among others; the config itself is shown whole."""

_LONGEST_BAR = 20
"""Characters of the bar of a full share."""

_BARS = "\u00b7\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def escaped(text: str) -> str:
    """Return text as it is written in a cell or in the middle of a line."""
    text = _MEANINGFUL.sub(_entities, visible(text))
    text = _WWW.sub(_entities, text)
    return _EDGE_SPACE.sub(_entities, text)


def _entities(found: re.Match[str]) -> str:
    check_deadline()
    return "".join(map(_entity, found[0]))


@cache
def _entity(character: str) -> str:
    return f"&#{ord(character)};"


def shortened(text: str, room: int) -> str:
    """Return text as escaped() does, cut so that it takes at most `room` bytes."""
    whole = escaped(text)
    # Every character takes a byte or more.
    if len(text) <= room and _size(whole) <= room:
        return whole
    cut = (f"{escaped(text[:length])}\u2026" for length in range(room, -1, -1))
    return next(found for found in cut if _size(found) <= room)


def _size(text: str) -> int:
    return len(text.encode())


def title(text: str) -> str:
    """Return text as it is written in the head of a column of text; see table()."""
    return re.sub(r":\Z", "&#58;", escaped(text))


def code(value: JSON) -> str:
    """Return a value as JSON for a cell; as text if code cannot hold it."""
    return _code(json.dumps(value, ensure_ascii=False))


def short_code(value: JSON) -> str:
    """Return a value as JSON, cut to what a cell among others has room for."""
    text = json.dumps(value, ensure_ascii=False)
    return _code(text if len(text) <= _CUT else f"{text[: _CUT - 1]}\u2026")


def _code(text: str) -> str:
    if _NOT_IN_CODE.search(text) or not text.isprintable():
        return escaped(text)
    return f"`{text}`"


def fenced(text: str, language: str) -> str:
    """Return text as a code block whose fence is longer than any in the text."""
    text = visible(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def fenced_json(value: JSON | Mapping[str, JSON]) -> str:
    """Return a value as a block of indented JSON."""
    return fenced(write_json(value, indent=2), "json")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of escaped cells, in columns that line up as plain text.

    A head that ends with a colon marks a column of numbers, set to the right.
    """
    numbers = [title.endswith(":") for title in head]
    lines = [[title.removesuffix(":") for title in head], *map(list, in_time(rows))]
    widths = [
        min(_WIDEST, max(3, *(len(line[column]) for line in lines)))
        for column in range(len(head))
    ]
    marks = [
        "-" * (width - 1) + ":" if number else "-" * width
        for width, number in zip(widths, numbers, strict=True)
    ]
    aligned = [
        [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        ]
        for line in lines
    ]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in (aligned[0], marks, *aligned[1:])
    )


def bar(share: float) -> str:
    """Draw a share of the full length, 0 to 1, as a bar that lies."""
    return _BARS[-1] * math.ceil(share * _LONGEST_BAR)


def bars(shares: Iterable[float]) -> str:
    """Draw shares of the full height, 0 to 1; a dot is nothing at all."""
    return "".join(_BARS[math.ceil(share * (len(_BARS) - 1))] for share in shares)
