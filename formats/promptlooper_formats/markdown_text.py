"""Text inside Markdown: whatever it says, it is shown and does nothing."""

import re
from collections.abc import Iterable, Sequence

# Characters that mean something to some renderer; as entities they mean themselves.
_MEANINGFUL = re.compile(r"[\\`*_{}\[\]<>#|~&$:@!^\"'\t\n\u2028\u2029\ufeff\xa0]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_EDGE_SPACE = re.compile(r"\A +| +\Z")
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
_LIST_MARK = re.compile(r"\A([-+=](?=[-+= ]|\Z)|\d+[.)](?= |\Z))")


def escaped(text: str) -> str:
    """Return text as it must be written in a paragraph, a heading or a cell.

    Line breaks become LF first; other control characters are shown as an escape, since
    an entity for them is replaced by U+FFFD in some renderers.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _MEANINGFUL.sub(_entity, text)
    text = _CONTROL.sub(lambda found: f"&#92;u{ord(found[0]):04x}", text)
    text = _WWW.sub(lambda found: f"{found[0][:-1]}&#46;", text)
    text = _EDGE_SPACE.sub(lambda found: "&#32;" * len(found[0]), text)
    return _LIST_MARK.sub(
        lambda found: f"{found[0][:-1]}{_entity_of(found[0][-1])}", text
    )


def fenced(text: str, language: str) -> str:
    """Return text as a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of escaped cells, in columns that line up as plain text.

    A head that ends with a colon marks a column of numbers, set to the right.
    """
    numbers = [title.endswith(":") for title in head]
    lines = [[title.removesuffix(":") for title in head], *map(list, rows)]
    widths = [
        max(3, *(len(line[column]) for line in lines)) for column in range(len(head))
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


def _entity(found: re.Match[str]) -> str:
    return _entity_of(found[0])


def _entity_of(character: str) -> str:
    return f"&#{ord(character)};"
