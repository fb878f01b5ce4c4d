"""Read comma-separated values (RFC 4180): one row at a time, each with its place.

Unlike `csv` of the standard library, it tells which cells were quoted: our own export
quotes text and nothing else.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.files import beginning
from promptlooper_export.importers.lines import LONGEST_LINE, raw_lines

_DELIMITERS = ",;\t|"
_QUOTED = re.compile('"[^"]*"')


class Cell(str):
    """The text of a cell, and whether it stood in quotes."""

    __slots__ = ("is_quoted",)

    is_quoted: bool


class Row(NamedTuple):
    """The cells of a row; `place` is `FILE:LINE`, where the row begins."""

    place: str
    cells: list[Cell]


def first_row(source: str) -> list[Cell]:
    """Return the cells of a file's first row; none if it holds no such text."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(beginning(source))
    except UnicodeDecodeError:
        return []
    if "\0" in text:
        return []
    lines = text.encode().splitlines(keepends=True)
    try:
        return next(rows(("", line) for line in lines), Row("", [])).cells
    except SourceError:
        return []


def read_rows(source: str) -> Iterator[Row]:
    """Yield the header and the rows of a file, or of stdin for `-`.

    Raises SourceError, also for a row with more or fewer cells than the header.
    """
    yield from rows(raw_lines(source))


def rows(lines: Iterable[tuple[str, bytes]]) -> Iterator[Row]:
    """Yield the rows of these lines, each line after its place; as `read_rows`.

    Cells are parted as in the header: by a comma, a semicolon, a tab or a bar.
    """
    delimiter = None
    columns = 0
    for place, text in _records(lines):
        if delimiter is None:
            delimiter = _delimiter(text)
        cells = _cells(place, text, delimiter)
        columns = columns or len(cells)
        if len(cells) != columns:
            msg = f"{place}: has {len(cells)} cells, but the header has {columns}"
            raise SourceError(msg)
        yield Row(place, cells)


def _records(lines: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """Yield the text of each row; one with quoted line breaks spans several lines."""
    begun: list[str] = []
    size = quotes = 0
    start = ""
    for number, (place, raw) in enumerate(lines):
        if not begun:
            start = place
        try:
            text = raw.decode("utf-8-sig" if number == 0 else "utf-8")
        except UnicodeDecodeError as error:
            msg = f"{place}: not UTF-8 (byte {error.start + 1})"
            raise SourceError(msg) from error
        begun.append(text)
        quotes += text.count('"')
        size += len(text)
        if size > LONGEST_LINE:
            msg = f"{start}: the row is longer than {LONGEST_LINE} characters"
            raise SourceError(msg)
        if quotes % 2 == 0:
            whole = "".join(begun)
            if whole.strip("\r\n"):
                yield start, whole
            begun, size, quotes = [], 0, 0
    if begun:
        msg = f"{start}: a cell in quotes does not end"
        raise SourceError(msg)


def _cells(place: str, text: str, delimiter: str) -> list[Cell]:
    pattern = _pattern(delimiter)
    cells: list[Cell] = []
    position = 0
    while True:
        found = pattern.match(text, position)
        if found is None:
            msg = f"{place}: cell {len(cells) + 1} is not valid CSV (RFC 4180)"
            raise SourceError(msg)
        quoted, plain, end = found.groups()
        cell = Cell(plain if quoted is None else quoted.replace('""', '"'))
        cell.is_quoted = quoted is not None
        cells.append(cell)
        if end != delimiter:
            return cells
        position = found.end()


@cache
def _pattern(delimiter: str) -> re.Pattern[str]:
    """Match a cell with or without quotes, and what ends it."""
    part = re.escape(delimiter)
    return re.compile(
        rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{part}\r\n]*))({part}|\r?\n|\r?\Z)'
    )


def _delimiter(text: str) -> str:
    """Return what stands between cells most often in the first line."""
    first = _QUOTED.sub("", text.partition("\n")[0])
    return max(_DELIMITERS, key=first.count)
