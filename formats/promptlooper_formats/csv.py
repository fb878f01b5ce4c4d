"""Every run as a row of comma-separated values (RFC 4180).

Text is quoted, numbers and truth values are not; an empty cell without quotes stands
for a value that a run does not have. Text that a spreadsheet would compute begins with
an apostrophe, unless `raw` is asked for.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from promptlooper_export.plugin import (
    JSON,
    Columns,
    Format,
    Notice,
    Run,
    Runs,
    UnrepresentableError,
    flatten,
    timestamp,
)

# What LibreOffice and Excel compute, full-width forms included. The apostrophe is among
# them: whoever takes one from each cell that begins with it has the text again.
_COMPUTED = re.compile("[=+\\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


class CsvOptions(Schema):
    """The options of the format."""

    raw = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Leave text as it is, even what spreadsheets compute"},
    )
    delimiter = fields.String(
        load_default=",",
        validate=OneOf([",", ";", "\t", "|"]),
        metadata={"description": "What stands between two cells"},
    )
    bom = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Begin with a byte order mark, for Excel"},
    )


@dataclass
class _Cells:
    """Writes values as cells, and counts those that it had to alter."""

    raw: bool
    guarded: int = 0

    def text(self, value: str | None) -> str:
        """Write text in quotes."""
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
        written = json.dumps(value, allow_nan=False)
        return _quoted(written) if isinstance(value, list | dict) else written


def render(
    runs: Runs, *, raw: bool = False, delimiter: str = ",", bom: bool = False
) -> Iterator[bytes | Notice]:
    """Yield a line of names, then one for each run.

    Raises UnrepresentableError for text that holds NUL or half a surrogate pair.
    """
    columns = runs.columns
    names = _names(columns)
    cells = _Cells(raw=raw)
    _check("the header", names, names)
    if bom:
        yield b"\xef\xbb\xbf"
    yield _line(map(_quoted, names), delimiter)
    for run in runs.rows:
        row = list(_row(run, columns, cells))
        _check(f"run {run.run_id}", names, row)
        yield _line(row, delimiter)
    if cells.guarded:
        message = (
            f"{cells.guarded} cells begin with an apostrophe that their text lacks, "
            "so that no spreadsheet computes them; raw=1 leaves it out."
        )
        yield Notice(code="guarded-cells", message=message)


def _names(columns: Columns) -> list[str]:
    return [
        *("run_id", "name", "status", "weighted_score", "rank"),
        *(f"config.{path}" for path in columns.config),
        "config_hash",
        *(f"scores.{scorer}" for scorer in columns.scores),
        *("tokens_in", "tokens_out", "duration_ms", "cost_usd", "error", "tags"),
        *("created_at", "started_at", "finished_at", "updated_at"),
    ]


def _row(run: Run, columns: Columns, cells: _Cells) -> Iterator[str]:
    yield str(run.run_id)
    yield cells.text(run.name)
    yield cells.text(run.status)
    yield _number(run.weighted_score)
    yield _number(run.rank)
    leaves = {str(path): value for path, value in flatten(run.config or {})}
    for path in columns.config:
        yield cells.json(leaves.pop(path)) if path in leaves else ""
    if leaves:
        paths = tuple(f"config.{path}" for path in leaves)
        detail = f"There is no column for {paths[0]}; choose format=ndjson."
        raise UnrepresentableError(detail, paths=paths)
    yield cells.text(run.config_hash)
    for scorer in columns.scores:
        yield _number(run.scores.get(scorer))
    for count in (run.tokens_in, run.tokens_out, run.duration_ms, run.cost_usd):
        yield _number(count)
    yield cells.text(run.error)
    yield "" if run.tags is None else cells.json(run.tags)
    for moment in (run.created_at, run.started_at, run.finished_at, run.updated_at):
        yield "" if moment is None else timestamp(moment)


def _number(value: float | None) -> str:
    return "" if value is None else json.dumps(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _line(cells: Iterable[str], delimiter: str) -> bytes:
    return f"{delimiter.join(cells)}\r\n".encode()


def _check(where: str, names: list[str], cells: list[str]) -> None:
    if not any(map(_UNWRITABLE.search, cells)):
        return
    paths = tuple(
        name
        for name, cell in zip(names, cells, strict=True)
        if _UNWRITABLE.search(cell)
    )
    detail = (
        f"{', '.join(paths)} in {where}: CSV cannot hold NUL, nor UTF-8 a lone "
        "surrogate; choose format=ndjson."
    )
    raise UnrepresentableError(detail, paths=paths)


CSV = Format(
    name="csv",
    title="CSV",
    document=Runs,
    media_types=("text/csv",),
    extension="csv",
    render=render,
    options=CsvOptions,
)
