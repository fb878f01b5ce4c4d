"""Read newline-delimited JSON: one object a line, each member with its source text."""

import json
import re
import sys
from collections.abc import Container, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from promptlooper_export.configs import JSON, strict_value
from promptlooper_export.errors import SourceError

LONGEST_LINE = 64 << 20
"""The longest line that is read, in bytes."""

STDIN = "-"

_GAP = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member's decoded value and the text it was written as."""

    value: JSON
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """The object on one line; `place` is `FILE:LINE`, for messages."""

    place: str
    members: Mapping[str, Member]


def read_lines(source: str, *, lenient: Container[str]) -> Iterator[Line]:
    """Yield the lines of a file, or of stdin for `-`, holding one at a time.

    Blank lines are passed over. NaN and infinity, which JSON does not have, are read in
    the members named in `lenient` only. Raises SourceError.
    """
    for place, raw in raw_lines(source):
        if raw.strip():
            yield parse(raw, place, lenient=lenient)


def raw_lines(source: str) -> Iterator[tuple[str, bytes]]:
    """Yield each line of a file, or of stdin for `-`, after its place `FILE:LINE`.

    Raises SourceError.
    """
    name = "stdin" if source == STDIN else source
    with opened(source) as file:
        number = 0
        # One byte more than allowed shows a longer line without reading all of it.
        while raw := file.readline(LONGEST_LINE + 1):
            number += 1
            place = f"{name}:{number}"
            if len(raw) > LONGEST_LINE:
                msg = f"{place}: the line is longer than {LONGEST_LINE} bytes"
                raise SourceError(msg)
            yield place, raw


def opened(source: str) -> AbstractContextManager[BinaryIO]:
    """Open a file, or stdin for `-`. Raises SourceError."""
    if source == STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(source).open("rb")
    except OSError as error:
        msg = f"{source}: {error.strerror}"
        raise SourceError(msg) from error


def parse(raw: bytes, place: str, *, lenient: Container[str] = frozenset()) -> Line:
    """Read one line; raises SourceError."""
    try:
        # Windows editors put a byte order mark first, which JSON does not have.
        members = _members(raw.decode("utf-8-sig"), lenient)
    except UnicodeDecodeError as error:
        msg = f"{place}: not UTF-8 (byte {error.start + 1})"
        raise SourceError(msg) from error
    except json.JSONDecodeError as error:
        msg = f"{place}: not valid JSON: {error.msg} (column {error.colno})"
        raise SourceError(msg) from error
    except RecursionError as error:
        msg = f"{place}: nested too deeply"
        raise SourceError(msg) from error
    except ValueError as error:
        msg = f"{place}: {error}"
        raise SourceError(msg) from error
    return Line(place=place, members=members)


# Member by member: a config is stored as it was written, because decoding and encoding
# it would alter numbers such as 1.10 and 1e5.
def _members(text: str, lenient: Container[str]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    separator, position = _punctuation(text, 0, "{")
    while separator != "}":
        name, end = strict_value(text, position)
        if not isinstance(name, str):
            msg = "Expecting a member's name in double quotes"
            raise json.JSONDecodeError(msg, text, position)
        if name in members:
            msg = f"{name!r} is there twice"
            raise json.JSONDecodeError(msg, text, position)
        _, start = _punctuation(text, end, ":")
        read = _LENIENT.raw_decode if name in lenient else strict_value
        value, end = read(text, start)
        members[name] = Member(value=value, text=text[start:end])
        separator, position = _punctuation(text, end, ",}")
    if position != len(text):
        msg = "Expecting the end of the line"
        raise json.JSONDecodeError(msg, text, position)
    return members


def _punctuation(text: str, position: int, allowed: str) -> tuple[str, int]:
    """Return the character after the gap and where what follows it begins."""
    position = _past_gap(text, position)
    if position == len(text) or text[position] not in allowed:
        msg = "Expecting " + " or ".join(map(repr, allowed))
        raise json.JSONDecodeError(msg, text, position)
    return text[position], _past_gap(text, position + 1)


def _past_gap(text: str, position: int) -> int:
    # Mostly there is none: a comparison is quicker than a search.
    if text[position : position + 1] > " ":
        return position
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


_LENIENT = json.JSONDecoder()
