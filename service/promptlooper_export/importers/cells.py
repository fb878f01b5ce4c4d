"""Read comma-separated values (RFC 4180): one row at a time, each with its place."""

import codecs
import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import chain
from typing import NamedTuple

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.files import beginning
from promptlooper_export.importers.lines import LONGEST_LINE, STDIN, opened

_DELIMITERS = ",;\t|"
_QUOTED = re.compile('"[^"]*"')


class Row(NamedTuple):
    """The cells of a row; `place` is `FILE:LINE`, where the row ends."""

    place: str
    cells: list[str]


def first_row(source: str) -> list[str]:
    """Return the cells of a file's first row; none if it holds no text."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(beginning(source))
    except UnicodeDecodeError:
        return []
    if "\0" in text:
        return []
    try:
        return next(csv.reader(StringIO(text), delimiter=_delimiter(text)), [])
    except csv.Error:
        return []


def read_rows(source: str) -> Iterator[Row]:
    """Yield the header and the rows of a file, or of stdin for `-`.

    Cells are parted as in the header: by a comma, a semicolon, a tab or a bar. Raises
    SourceError, also for a row with more or fewer cells than the header.
    """
    name = "stdin" if source == STDIN else source
    lines = _lines(source, name)
    first = next(lines, "")
    # Its default, 131,072 characters, is less than a prompt may have.
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True)
    columns = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            msg = f"{name}:{reader.line_num}: not a row of CSV: {error}"
            raise SourceError(msg) from error
        if cells is None:
            return
        place = f"{name}:{reader.line_num}"
        if columns is None:
            columns = len(cells)
        if len(cells) not in (0, columns):
            msg = f"{place}: has {len(cells)} cells, but the header has {columns}"
            raise SourceError(msg)
        if cells:
            yield Row(place, cells)


def _delimiter(text: str) -> str:
    """Return what stands between cells most often in the first line."""
    first = _QUOTED.sub("", text.partition("\n")[0])
    return max(_DELIMITERS, key=first.count)


def _lines(source: str, name: str) -> Iterator[str]:
    with opened(source) as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                msg = f"{name}:{number}: the line is longer than {LONGEST_LINE} bytes"
                raise SourceError(msg)
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                msg = f"{name}:{number}: not UTF-8 (byte {error.start + 1})"
                raise SourceError(msg) from error
