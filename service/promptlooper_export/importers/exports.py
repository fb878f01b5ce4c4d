"""Our own exports that do not hold all: CSV, NDJSON without its header, and JSON.

Parquet and the interchange file hold all that is known of an experiment. These lack the
rules of scoring and, of repeated judgements, all but their mean. JSON has the best run
only.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.cells import Cell, Row, first_row, read_rows
from promptlooper_export.importers.columns import config, literal, member, plain
from promptlooper_export.importers.files import beginning, read_document
from promptlooper_export.importers.importer import Importer, refuse
from promptlooper_export.importers.interchange import records
from promptlooper_export.importers.lines import Line, Member, read_lines
from promptlooper_export.records import Records

_FIRST = ("run_id", "name", "status", "weighted_score", "rank")
"""The first columns of every table of runs."""

_DERIVED = ("weighted_score", "rank")

_BEST = re.compile(rb'\s*\{\s*"experiment_name"\s*:')
_RUN = re.compile(rb'\s*\{\s*"run_id"\s*:')

# What the format csv guards against, by an apostrophe before it.
_GUARDED = re.compile("'(?=[=+\\-@\t\r\n'\uff1d\uff0b\uff0d\uff20])")

_LACKS = (
    "has no scoring rules, so every scorer counts alike and higher is better, and of "
    "repeated judgements only the mean; an export as parquet, or as ndjson with "
    "header=1, has all of it"
)


def recognises(source: str) -> bool:
    """Return whether the file begins as one of our exports."""
    head = beginning(source)
    is_json = _BEST.match(head) or _RUN.match(head)
    return bool(is_json) or _is_ours(first_row(source))


def read(source: str) -> Records:
    """Yield the experiment of an export. Raises SourceError, at any point."""
    head = beginning(source)
    if _BEST.match(head):
        lines = _best(source)
    elif _RUN.match(head):
        lines = _of_runs(source)
    else:
        lines = _of_rows(source)
    for record in records(lines, source=source, unknown=refuse):
        yield replace(record, warnings=(_LACKS,))


def _is_ours(header: list[Cell]) -> bool:
    return tuple(header[: len(_FIRST)]) == _FIRST and "config_hash" in header


def _experiment(source: str, **members: JSON) -> Line:
    given = {"type": "experiment", "name": Path(source).stem, **members}
    return _line(source, {name: plain(value) for name, value in given.items()})


def _line(place: str, members: Mapping[str, Member]) -> Line:
    return Line(place=place, members=members)


def _best(source: str) -> Iterator[Line]:
    held = read_document(source)
    yield _experiment(
        source, id=held.get("experiment_id"), name=held["experiment_name"]
    )
    members = {"type": plain("run"), "id": plain(held.get("run_id"))}
    for name in ("config_hash", "scores"):
        members[name] = plain(held.get(name))
    given = held.get("config")
    members["config"] = Member(value=given, text=json.dumps(given, ensure_ascii=False))
    yield _line(source, members)


def _of_runs(source: str) -> Iterator[Line]:
    yield _experiment(source)
    for line in read_lines(source, lenient=frozenset()):
        members = {"type": plain("run"), **line.members}
        for name in _DERIVED:
            members.pop(name, None)
        if "run_id" in members:
            members["id"] = members.pop("run_id")
        yield _line(line.place, members)


def _of_rows(source: str) -> Iterator[Line]:
    rows = read_rows(source)
    header = next(rows, Row(source, [])).cells
    if not _is_ours(header):
        msg = f"{source}: not an export of this service: its columns are others"
        raise SourceError(msg)
    yield _experiment(source)
    for row in rows:
        yield _run(row.place, dict(zip(header, row.cells, strict=True)))


def _run(place: str, cells: Mapping[str, Cell]) -> Line:
    members = {"type": plain("run"), "id": plain(cells["run_id"])}
    leaves = []
    scores: dict[str, JSON] = {}
    for column, cell in cells.items():
        if column in (*_DERIVED, "run_id") or not (cell or cell.is_quoted):
            continue
        value = _value(place, column, cell)
        kind, dot, name = column.partition(".")
        if kind == "config" and dot:
            leaves.append((name, value))
        elif kind == "scores" and dot:
            scores[name] = value.value
        else:
            members[column] = value
    members["scores"] = plain(scores)
    members["config"] = config(leaves, place)
    return _line(place, members)


def _value(place: str, column: str, cell: Cell) -> Member:
    """Return the value of a cell: text and lists are in quotes, nothing else is."""
    if not cell.is_quoted:
        # With decimal=, a comma stands before the decimals of numbers.
        found = literal(cell) or literal(cell.replace(",", ".", 1))
        if found is None and column.endswith("_at"):
            return plain(str(cell))
        if found is None:
            msg = f"{place}: {column}: {cell!r} is not a number"
            raise SourceError(msg)
        return found
    text = _GUARDED.sub("", cell, count=1) if cell.startswith("'") else str(cell)
    found = literal(text) if text.startswith(("[", "{")) else None
    return found or member(text)


EXPORTS = Importer(
    title="Export of this service (CSV, NDJSON, JSON)", recognises=recognises, read=read
)
