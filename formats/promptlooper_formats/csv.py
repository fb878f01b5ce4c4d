"""Every run as a row of comma-separated values (RFC 4180).

Text is quoted, numbers and booleans are not; a cell that is empty and has no quotes is
a value that the run does not have. Text that a spreadsheet would compute begins with an
apostrophe, unless `raw` is set.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import OneOf, Regexp

from promptlooper_export.plugin import (
    JSON,
    Columns,
    Format,
    Notice,
    Run,
    Runs,
    UnrepresentableError,
    timestamp,
)
from promptlooper_formats.shared.tables import alike, config_leaves, names
from promptlooper_formats.shared.text import together
from promptlooper_formats.shared.variables import switch

# What LibreOffice and Excel compute, full-width forms included. The apostrophe is among
# them: removing one from each cell that begins with one restores the text.
_COMPUTED = re.compile("[=+\\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]")
_ENCODER = json.JSONEncoder(allow_nan=False)
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


class CsvOptions(Schema):
    """The options of the format."""

    raw = switch("Leave text as it is, even what spreadsheets compute")
    delimiter = fields.String(
        load_default=",",
        validate=OneOf([",", ";", "\t", "|"]),
        metadata={"description": "What stands between two cells"},
    )
    bom = switch("Begin with a byte order mark, for Excel")
    decimal = fields.String(
        load_default=".",
        validate=Regexp(r"[.,]\Z", error="Must be . or ,"),
        metadata={
            "description": "What stands before the decimals of a number: a comma, with "
            "delimiter=;, for spreadsheets in German or French"
        },
    )

    @validates_schema
    def refuse_ambiguity(self, data: Mapping[str, object], **_: object) -> None:
        """Raise ValidationError if a comma would both part cells and begin decimals."""
        if data["decimal"] == data["delimiter"]:
            msg = "decimal=, needs another delimiter than the comma: add delimiter=;"
            raise ValidationError(msg, "decimal")


@dataclass
class _Cells:
    """Writes values as cells, and counts those that it had to alter."""

    raw: bool
    decimal: str
    guarded: int = 0

    def text(self, value: str | None) -> str:
        """Write text in quotes."""
        # Without quotes: empty text is written as two quotes.
        if value is None:
            return ""
        if not self.raw and _COMPUTED.match(value):
            self.guarded += 1
            value = f"'{value}"
        return _quoted(value)

    def json(self, value: JSON) -> str:
        """Write text as text, and any other value as JSON."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, float):
            return self.number(value)
        # Numbers, true and null stay without quotes, unlike text that looks like them.
        written = _ENCODER.encode(value)
        return _quoted(written) if isinstance(value, list | dict) else written

    def number(self, value: float | None) -> str:
        """Write a number; none is an empty cell."""
        return "" if value is None else repr(value).replace(".", self.decimal)


def render(
    runs: Runs,
    *,
    raw: bool = False,
    delimiter: str = ",",
    bom: bool = False,
    decimal: str = ".",
) -> Iterator[bytes | Notice]:
    """Yield a line of names, then one for each run.

    Raises UnrepresentableError for text that holds NUL or half a surrogate pair.
    """
    cells = _Cells(raw=raw, decimal=decimal)
    yield from together(_lines(runs, cells, delimiter=delimiter, bom=bom))


def _lines(
    runs: Runs, cells: _Cells, *, delimiter: str, bom: bool
) -> Iterator[bytes | Notice]:
    columns = runs.columns
    places = dict.fromkeys(columns.config)
    header = names(columns)
    yield from alike(header)
    yield from _broken_names(header)
    if bom:
        # Without it, Excel reads the system's code page instead of UTF-8.
        yield b"\xef\xbb\xbf"
    yield _line([*map(_quoted, header)], header, "the header", delimiter)
    for run in runs.rows:
        row = [*_row(run, columns, places, cells)]
        yield _line(row, header, f"run {run.run_id}", delimiter)
    if cells.guarded:
        message = (
            f"{cells.guarded} cells begin with an apostrophe that their text lacks, "
            "so that no spreadsheet computes them; raw=1 leaves it out."
        )
        yield Notice(code="guarded-cells", message=message)


def _broken_names(header: list[str]) -> Iterator[Notice]:
    for name in header:
        if "\n" in name or "\r" in name:
            message = f"The column {name!r} has a line break: DuckDB reads no such."
            yield Notice(code="line-break-in-a-name", message=message, path=name)


def _row(
    run: Run, columns: Columns, places: Mapping[str, object], cells: _Cells
) -> Iterator[str]:
    yield str(run.run_id)
    yield cells.text(run.name)
    yield cells.text(run.status)
    yield cells.number(run.weighted_score)
    yield cells.number(run.rank)
    found = config_leaves(run, places)
    for path in columns.config:
        yield cells.json(found[path]) if path in found else ""
    yield cells.text(run.config_hash)
    for scorer in columns.scores:
        yield cells.number(run.scores.get(scorer))
    for count in (run.tokens_in, run.tokens_out, run.duration_ms, run.cost_usd):
        yield cells.number(count)
    yield cells.text(run.error)
    yield "" if run.tags is None else cells.json(run.tags)
    for moment in (run.created_at, run.started_at, run.finished_at, run.updated_at):
        yield "" if moment is None else timestamp(moment)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _line(cells: list[str], header: list[str], owner: str, delimiter: str) -> bytes:
    # RFC 4180 ends every line with CR LF.
    line = f"{delimiter.join(cells)}\r\n"
    if _UNWRITABLE.search(line):
        paths = tuple(
            name
            for name, cell in zip(header, cells, strict=True)
            if _UNWRITABLE.search(cell)
        )
        detail = (
            f"{', '.join(paths)} in {owner}: CSV cannot hold NUL, nor UTF-8 a lone "
            "surrogate; choose format=ndjson."
        )
        raise UnrepresentableError(detail, paths=paths)
    return line.encode()


CSV = Format(
    name="csv",
    title="CSV",
    document=Runs,
    media_types=("text/csv",),
    extension="csv",
    render=render,
    options=CsvOptions,
)
