"""Text, tables and numbers inside Markdown: whatever they say, it is never markup."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from promptlooper_export.plugin import JSON

# What means something to some renderer; as entities, characters mean themselves. For
# those who read the source, _ inside a word and :!& before a space are left alone.
_MEANINGFUL = re.compile(
    r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|[:!&](?! |\Z)"
    r"|[\\`*{}\[\]<>#|~$@^\"'\t\n\u2028\u2029\ufeff\xa0]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
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

_BARS = "\u00b7\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def escaped(text: str) -> str:
    """Return text as it is written in a cell or in the middle of a line."""
    text = _MEANINGFUL.sub(_entities, visible(text))
    text = _WWW.sub(_entities, text)
    return _EDGE_SPACE.sub(_entities, text)


def visible(text: str) -> str:
    """Write line breaks as LF and control characters as escapes.

    Renderers replace both the characters and entities for them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _entities(found: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in found[0])


def code(value: JSON) -> str:
    """Return a value as JSON for a cell; as text if code cannot hold it."""
    text = json.dumps(value, ensure_ascii=False)
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
    return fenced(json.dumps(value, ensure_ascii=False, indent=2), "json")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of escaped cells, in columns that line up as plain text.

    A head that ends with a colon marks a column of numbers, set to the right.
    """
    numbers = [title.endswith(":") for title in head]
    lines = [[title.removesuffix(":") for title in head], *map(list, rows)]
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


def number(value: float | None) -> str:
    """Write an integer with separators, another number to four decimals or digits."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or 1e-3 <= abs(value) < 1e9:  # noqa: PLR2004  readable so
        return f"{value:,.4f}"
    return f"{value:.4g}"


def duration(milliseconds: float | None) -> str:
    """Write a duration in the unit that suits its length."""
    if milliseconds is None:
        return ""
    # Rounded first: 999.9 ms must not become 1000 ms.
    if round(milliseconds) < 1000:  # noqa: PLR2004
        return f"{milliseconds:.0f} ms"
    if round(milliseconds, -1) < 60_000:  # noqa: PLR2004
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def bars(shares: Iterable[float]) -> str:
    """Draw shares of the full height, 0 to 1; a dot is nothing at all."""
    return "".join(_BARS[math.ceil(share * (len(_BARS) - 1))] for share in shares)
