"""Tables of runs, each config the only run, read cell by cell."""

import csv
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
from pyarrow import parquet

from fidelity.readers import Failure, Reading, in_python, node, ruby
from fidelity.verdicts import Tally, same
from formats.configs import Config
from formats.rendering import Rendered, render, row, table
from promptlooper_export.configs import JSON
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.plugin import flatten
from promptlooper_export.registry import discover

FORMATS = discover().formats

# What a spreadsheet takes for the beginning of a formula, and the mark against it.
COMPUTED = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")

# Python's own reader refuses longer cells unless it is told so.
csv.field_size_limit(1 << 30)

Holds = Callable[[object, JSON], bool]
"""Tells whether a cell holds the value."""


@dataclass(frozen=True, kw_only=True)
class TableReader:
    """A reader of a tabular format; `fatal` are the warnings that excuse it."""

    format: str
    name: str
    read: Reading
    holds: Holds
    fatal: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.format} {self.name}"


def _rows(read: Callable[[Path], Sequence[Sequence[object]]], path: Path) -> object:
    header, values = read(path)[:2]
    return dict(zip(header, values, strict=True))


def _of_program(read: Callable[[Sequence[Path]], list[Any]]) -> Reading:
    def rows(paths: Sequence[Path]) -> list[object]:
        return [
            found
            if isinstance(found, Failure)
            else dict(zip(found[0], found[1], strict=True))
            for found in read(paths)
        ]

    return rows


def _csv(path: Path) -> Sequence[Sequence[object]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def _duckdb(function: str, path: Path) -> Sequence[Sequence[object]]:
    # In Python, DuckDB needs one more module for moments with a time zone.
    moments = "created_at, started_at, finished_at, updated_at"
    select = f"SELECT * EXCLUDE ({moments}) FROM {function}"
    found = duckdb.execute(select, [str(path)])
    return [[column[0] for column in found.description or ()], *found.fetchall()]


def _parquet(path: Path) -> Sequence[Sequence[object]]:
    return _arrow(parquet.read_table(path))


def _stream(path: Path) -> Sequence[Sequence[object]]:
    with path.open("rb") as file:
        return _arrow(pa.ipc.open_stream(file).read_all())


def _arrow(found: Any) -> Sequence[Sequence[object]]:  # noqa: ANN401  it has no types
    return [found.column_names, [column[0].as_py() for column in found.columns]]


def _openpyxl(path: Path) -> Sequence[Sequence[object]]:
    with path.open("rb") as file:
        sheet = openpyxl.load_workbook(file)["Runs"]
        cells = [cell for cells in sheet.iter_rows() for cell in cells]
        assert all(cell.data_type != "f" for cell in cells), "a formula"
        return list(sheet.iter_rows(values_only=True))


def in_csv(cell: object, value: JSON) -> bool:
    """Compare text as text, without the guard, and all else as JSON."""
    text = str(cell)
    if isinstance(value, str):
        return text == (f"'{value}" if value.startswith(COMPUTED) else value)
    return same(value, json.loads(text), doubles=False)


def typed(cell: object, value: JSON) -> bool:
    """Compare a typed cell; lists and what has no type are JSON."""
    if isinstance(value, list | dict) or (isinstance(value, int) and _is_big(value)):
        return same(value, json.loads(str(cell)), doubles=False)
    return same(value, cell, doubles=False)


def in_sheet(cell: object, value: JSON) -> bool:
    """Compare a cell of a workbook: all its numbers are doubles."""
    if value in (None, "") and not isinstance(value, bool | int | float):
        return cell in (None, "")
    if isinstance(value, list | dict) or (isinstance(value, int) and _is_big(value)):
        return json.dumps(value) == json.dumps(json.loads(str(cell)))
    return same(value, cell, doubles=True)


def _is_big(value: int) -> bool:
    return abs(value) > 2**53 if isinstance(value, bool) else abs(value) >= 2**63


_SHEETS = frozenset({"cut-cell", "big-integer"})

# Left to find out the dialect by itself, DuckDB takes some text for another one.
_READ_CSV = """read_csv(
    ?, delim=',', quote='"', escape='"', header=true, all_varchar=true,
    allow_quoted_nulls=false, max_line_size=100000000
)"""
_COLUMNS = frozenset({"columns-differ-by-case", "line-break-in-a-name"})

READERS = (
    TableReader(
        format="csv",
        name="Python csv",
        read=in_python(partial(_rows, _csv)),
        holds=in_csv,
    ),
    TableReader(
        format="csv",
        name="PapaParse",
        read=_of_program(node("papaparse")),
        holds=in_csv,
    ),
    TableReader(
        format="csv", name="Ruby csv", read=_of_program(ruby("csv")), holds=in_csv
    ),
    TableReader(
        format="csv",
        name="DuckDB",
        fatal=_COLUMNS,
        read=in_python(
            partial(
                _rows,
                partial(_duckdb, _READ_CSV),
            )
        ),
        holds=in_csv,
    ),
    TableReader(
        format="parquet",
        name="pyarrow",
        read=in_python(partial(_rows, _parquet)),
        holds=typed,
    ),
    TableReader(
        format="parquet",
        name="DuckDB",
        fatal=_COLUMNS,
        read=in_python(partial(_rows, partial(_duckdb, "read_parquet(?)"))),
        holds=typed,
    ),
    TableReader(
        format="arrow",
        name="pyarrow",
        read=in_python(partial(_rows, _stream)),
        holds=typed,
    ),
    TableReader(
        format="xlsx",
        name="openpyxl",
        read=in_python(partial(_rows, _openpyxl)),
        holds=in_sheet,
        fatal=_SHEETS | {"control-character"},
    ),
    TableReader(
        format="xlsx",
        name="SheetJS",
        read=_of_program(node("SheetJS")),
        holds=in_sheet,
        fatal=_SHEETS,
    ),
)


def measure(reader: TableReader, corpus: Mapping[str, Config]) -> Tally:
    """Write each config as the only run of a table, and compare what is read."""
    tally = Tally()
    rendered: dict[str, Rendered] = {}
    for name, config in corpus.items():
        try:
            rendered[name] = render(FORMATS[reader.format], table(row(config)))
        except UnrepresentableError:
            tally.refused += 1
    with tempfile.TemporaryDirectory() as folder:
        files = [
            Path(folder) / f"{place}.{reader.format}" for place in range(len(rendered))
        ]
        for path, file in zip(files, rendered.values(), strict=True):
            path.write_bytes(file.body)
        found = reader.read(files)
    for (name, file), cells in zip(rendered.items(), found, strict=True):
        differ = _differences(corpus[name], cells, reader.holds)
        if not differ:
            tally.identical += 1
        elif reader.fatal & set(file.codes):
            tally.warned += 1
        else:
            tally.different.append(f"{name}: {differ}")
    return tally


def _differences(config: Config, cells: object, holds: Holds) -> dict[str, str]:
    if not isinstance(cells, dict):
        return {"": str(cells)}
    wanted = {f"config.{path}": value for path, value in flatten(config)}
    return {
        name: f"{value!r:.80} read as {cells.get(name)!r:.80}"
        for name, value in wanted.items()
        if name not in cells or not holds(cells[name], value)
    }
