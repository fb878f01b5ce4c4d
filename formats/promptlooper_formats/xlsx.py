"""Every run as a row of a workbook (Office Open XML, ECMA-376).

Text is text: nothing is computed, and no address becomes a link. Times are text as
well, since a workbook's own times have neither a zone nor microseconds.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptlooper_export.plugin import (
    Columns,
    Format,
    Notice,
    RunBatch,
    Runs,
    UnrepresentableError,
    timestamp,
)
from promptlooper_formats.shared.notices import EXACT
from promptlooper_formats.shared.tables import (
    AFTER_SCORES,
    MISSING,
    config_columns,
    names,
    parts,
)
from promptlooper_formats.shared.text import write_json

_ROWS = 1_048_576
_COLUMNS = 16_384
_CHARACTERS = 32_767
"""Limits of a sheet, and of a cell in UTF-16, as Excel has them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CUT = "\u2026 [cut]"
# OOXML writes characters that XML lacks as _xHHHH_ (ST_Xstring), so text that
# looks like that may be read as such a character.
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
_PIECE = 1 << 16

_MESSAGES = {
    "cut-cell": "are cut after 32,767 characters, and named on the sheet Notes",
    "big-integer": "are text, since numbers of a workbook are doubles",
    "control-character": "have characters that openpyxl does not read back",
}


class _Exact(float):
    """A number written with all its digits: it may need 17, xlsxwriter writes 16."""

    def __format__(self, spec: str) -> str:
        return repr(float(self))


def render(runs: Runs) -> Iterator[bytes | Notice]:
    """Yield the workbook, and what a reader of it should know.

    Refuses more runs or columns than a sheet has, and text with a lone surrogate.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    header = names(runs.columns)
    _refuse_size(runs, header)
    with tempfile.TemporaryDirectory(prefix="promptlooper-") as folder:
        path = Path(folder) / "runs.xlsx"
        # A row is written as soon as the next one begins.
        options = {"constant_memory": True, "tmpdir": folder}
        book = xlsxwriter.Workbook(str(path), options)
        # By default, xlsxwriter writes the time of the export: other bytes each time.
        created = runs.experiment.created_at or _EPOCH
        book.set_properties({"created": created.replace(tzinfo=None)})
        sheet = _Sheet(book.add_worksheet("Runs"), header)
        sheet.write(0, header, "the header")
        for place, row in enumerate(_rows(runs), start=1):
            sheet.write(place, row, f"run {row[0]}")
        if sheet.notes:
            notes = _Sheet(book.add_worksheet("Notes"), ["cell", "run", "column"])
            for place, note in enumerate(sheet.notes):
                notes.write(place, note, "a note")
        try:
            book.close()
        except FileCreateError as error:
            raise error.args[0] from None  # what the disk refused
        yield from sheet.notices()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _refuse_size(runs: Runs, header: list[str]) -> None:
    # The header takes a row.
    if runs.count >= _ROWS or len(header) > _COLUMNS:
        detail = (
            f"A sheet has {_ROWS - 1:,} runs and {_COLUMNS:,} columns, these are "
            f"{runs.count:,} and {len(header):,}; choose format=parquet, or limit."
        )
        raise UnrepresentableError(detail, paths=("runs",))


def _rows(runs: Runs) -> Iterator[tuple[object, ...]]:
    for part in parts(runs):
        yield from zip(*_columns(part, runs.columns), strict=True)


def _columns(part: RunBatch, columns: Columns) -> Iterator[Sequence[object]]:
    """Yield each column in the order of the header."""
    yield part.ids
    yield from (part.name, part.status, part.weighted_score, part.rank)
    yield from config_columns(part, columns.config).values()
    yield part.config_hash
    for scorer in columns.scores:
        yield [scores.get(scorer) for scores in part.scores]
    for name in AFTER_SCORES:
        yield getattr(part, name)


class _Sheet:
    """Writes values to a sheet; `notes` names the cells whose text was cut."""

    def __init__(self, sheet: Any, header: list[str]) -> None:  # noqa: ANN401
        self._sheet = sheet
        self._header = header
        self._counts: Counter[str] = Counter()
        self.notes: list[list[object]] = []

    def write(self, row: int, values: Sequence[object], owner: str) -> None:
        """Write a row; None leaves its cell empty."""
        for column, value in enumerate(values):
            # A bool is an int, so it is first. write() would make formulas and links.
            if isinstance(value, bool):
                self._sheet.write_boolean(row, column, value)
            elif isinstance(value, int | float) and self._is_double(value):
                number = _Exact(value) if isinstance(value, float) else value
                self._sheet.write_number(row, column, number)
            elif value is not None and value is not MISSING:
                text = self._fitted(_text(value), row, column, owner)
                self._sheet.write_string(row, column, text)

    def _is_double(self, value: float) -> bool:
        if isinstance(value, float) or abs(value) <= EXACT:
            return True
        self._counts["big-integer"] += 1
        return False

    def _fitted(self, text: str, row: int, column: int, owner: str) -> str:
        name = self._header[column]
        if _CONTROL.search(text):
            self._counts["control-character"] += 1
        try:
            # Excel counts UTF-16 code units: an emoji is two.
            length = len(text.encode("utf-16-le")) // 2
        except UnicodeEncodeError as error:
            detail = (
                f"{name} of {owner}: a lone surrogate has no form in UTF-8; choose "
                "format=ndjson."
            )
            raise UnrepresentableError(detail, paths=(name,)) from error
        if length <= _CHARACTERS:
            return text
        self._counts["cut-cell"] += 1
        place = f"row {row + 1}, column {column + 1}, {length:,} characters"
        self.notes.append([place, owner, name])
        # Half as many characters fit, whatever they are in UTF-16.
        return text[: _CHARACTERS // 2 - len(_CUT)] + _CUT

    def notices(self) -> Iterator[Notice]:
        """Say how many cells are not as the runs have them."""
        for code, count in sorted(self._counts.items()):
            yield Notice(code=code, message=f"{count} cells {_MESSAGES[code]}.")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return timestamp(value)
    return write_json(value)


XLSX = Format(
    name="xlsx",
    title="Excel workbook",
    document=Runs,
    media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    extension="xlsx",
    render=render,
    requires={"xlsxwriter": "promptlooper-export[xlsx]"},
)
