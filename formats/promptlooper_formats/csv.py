"""Every run as a row of comma-separated values (RFC 4180).

Text is quoted, numbers and booleans are not; a cell that is empty and has no quotes is
a value that the run does not have. Text that a spreadsheet would compute begins with an
apostrophe, unless `raw` is set.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import OneOf, Regexp

from promptlooper_export.plugin import (
    Columns,
    Format,
    Notice,
    RunBatch,
    Runs,
    UnrepresentableError,
    timestamp,
)
from promptlooper_formats.shared.tables import (
    MISSING,
    Leaf,
    Missing,
    alike,
    config_columns,
    names,
    parts,
)
from promptlooper_formats.shared.text import json_texts, together
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


_WITHOUT_COMMA = frozenset({int, bool, type(None)})
"""Kinds of values that are written faster all at once."""


@dataclass
class _Cells:
    """Writes columns of values as cells, and counts those that it had to alter."""

    raw: bool
    decimal: str
    guarded: int = 0

    def texts(self, values: Sequence[str | None]) -> list[str]:
        """Write text in quotes; none is an empty cell, and empty text two quotes."""
        written = {
            value: "" if value is None else _quoted(value) for value in set(values)
        }
        computed = [] if self.raw else [*filter(_is_computed, written)]
        for value in computed:
            written[value] = _quoted(f"'{value}")
            self.guarded += values.count(value)
        return [written[value] for value in values]

    def numbers(self, values: Sequence[float | None]) -> list[str]:
        """Write numbers; none is an empty cell."""
        if None in values:
            return ["" if value is None else self._number(value) for value in values]
        written = json_texts(values)
        if self.decimal == ".":
            return written
        return [number.replace(".", self.decimal) for number in written]

    def leaves(self, values: Sequence[Leaf]) -> list[str]:
        """Write text as text, and any other value as JSON; a missing one is empty."""
        kinds = set(map(type, values))
        if kinds == {str}:
            return self.texts(values)  # type: ignore[arg-type]
        if kinds == {float}:
            return self.numbers(values)  # type: ignore[arg-type]
        if kinds == {Missing}:
            return [""] * len(values)
        if kinds <= _WITHOUT_COMMA:
            return json_texts(values)  # type: ignore[arg-type]
        return list(map(self._leaf, values))

    def _leaf(self, value: Leaf) -> str:
        if isinstance(value, str):
            return self.texts([value])[0]
        if isinstance(value, float):
            return self._number(value)
        if isinstance(value, Missing):
            return ""
        # Numbers, true and null stay without quotes, unlike text that looks like them.
        written = _ENCODER.encode(value)
        return _quoted(written) if isinstance(value, list | dict) else written

    def _number(self, value: float) -> str:
        return repr(value).replace(".", self.decimal)


def _is_computed(value: str | None) -> bool:
    return value is not None and _COMPUTED.match(value) is not None


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
) -> Iterator[str | Notice]:
    columns = runs.columns
    header = names(columns)
    yield from alike(header)
    yield from _broken_names(header)
    if bom:
        # Without it, Excel reads the system's code page instead of UTF-8.
        yield "\ufeff"
    yield _line([*map(_quoted, header)], header, "the header", delimiter)
    for part in parts(runs):
        written = _written(part, columns, cells)
        for run_id, *row in zip(part.ids, *written, strict=True):
            yield _line([run_id, *row], header, f"run {run_id}", delimiter)
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


def _written(part: RunBatch, columns: Columns, cells: _Cells) -> Iterator[list[str]]:
    """Yield each column but for the ids, in the order of the header."""
    yield cells.texts(part.name)
    yield cells.texts(part.status)
    yield cells.numbers(part.weighted_score)
    yield cells.numbers(part.rank)
    yield from map(cells.leaves, config_columns(part, columns.config).values())
    yield cells.texts(part.config_hash)
    for scorer in columns.scores:
        yield cells.numbers([scores.get(scorer) for scores in part.scores])
    yield cells.numbers(part.tokens_in)
    yield cells.numbers(part.tokens_out)
    yield cells.numbers(part.duration_ms)
    yield cells.numbers(part.cost_usd)
    yield cells.texts(part.error)
    yield cells.leaves([MISSING if tags is None else tags for tags in part.tags])
    for moments in (
        part.created_at,
        part.started_at,
        part.finished_at,
        part.updated_at,
    ):
        yield ["" if moment is None else timestamp(moment) for moment in moments]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _line(cells: list[str], header: list[str], owner: str, delimiter: str) -> str:
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
    return line


CSV = Format(
    name="csv",
    title="CSV",
    document=Runs,
    media_types=("text/csv",),
    extension="csv",
    render=render,
    options=CsvOptions,
)
