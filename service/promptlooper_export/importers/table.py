"""A table that any program wrote, CSV or JSONL, in which people say what columns are.

Each row is a run. Columns of the mapping are its scores, its config and its name. Those
with a name that a run has in the interchange file, such as `status`, `error` or
`cost_usd`, are what their name says; all others are kept in `tags`.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from fnmatch import translate
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from promptlooper_export.configs import JSON, repeated
from promptlooper_export.configs import Path as ConfigPath
from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.importers import cells
from promptlooper_export.importers.columns import config, literal, member, plain
from promptlooper_export.importers.importer import ColumnMapping, Importer, refuse
from promptlooper_export.importers.interchange import records
from promptlooper_export.importers.lines import (
    STDIN,
    Line,
    Member,
    parse,
    raw_lines,
)
from promptlooper_export.records import Records

Cells = Mapping[str, Member | None]
"""The values of a row by the names of their columns; None for an empty cell."""

_OWN = frozenset({
    "status", "error", "tokens_in", "tokens_out", "duration_ms", "cost_usd",
    "created_at", "started_at", "finished_at", "updated_at",
})  # fmt: skip
"""Columns that say the same of a run as in the interchange file."""

_SUFFIXES = {".csv", ".tsv", ".jsonl", ".ndjson"}

_SHOWN = 12
"""How many columns an error names."""

_WORDS: Mapping[str, JSON] = {
    "true": 1.0, "false": 0.0, "nan": "NaN", "inf": "Infinity", "-inf": "-Infinity",
    "infinity": "Infinity", "-infinity": "-Infinity",
}  # fmt: skip
"""What stands for a score besides a number; "" and null are none."""


_PYTHON = {"True": "true", "False": "false"}
"""What pandas writes in CSV."""

_DOTTED = re.compile('[."]')


class _Every(Container[str]):
    """Holds every name: NaN may be in any column, and is refused in a config."""

    def __contains__(self, name: object) -> bool:
        return True


class _Pattern:
    """A pattern of columns; it remembers whether any column has matched."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.is_used = False
        self._match = re.compile(translate(pattern)).match
        literal_part = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        is_one = literal_part == pattern
        # The names of config.* and of the like go on after the dot.
        self._prefix = 0 if is_one else literal_part.rfind(".") + 1

    def name_of(self, column: str) -> str | None:
        """Return what the column is called without the prefix; None for no match."""
        if column != self.pattern and self._match(column) is None:
            return None
        self.is_used = True
        return column[self._prefix :]


class _Role(NamedTuple):
    """What a column is to a run, and what it is called there."""

    kind: Literal["score", "config", "name", "own", "tag"]
    name: str


class _Roles:
    """The roles of all columns that were seen."""

    def __init__(self, mapping: ColumnMapping) -> None:
        names = () if mapping.name is None else (mapping.name,)
        self._patterns: list[tuple[Literal["score", "config", "name"], _Pattern]] = [
            *(("score", _Pattern(pattern)) for pattern in mapping.scores),
            *(("name", _Pattern(pattern)) for pattern in names),
            *(("config", _Pattern(pattern)) for pattern in mapping.config),
        ]
        self._seen: dict[str, _Role] = {}

    def line(self, place: str, row: Cells) -> Line:
        """Return the run that a row holds. Raises SourceError."""
        members = {"type": plain("run")}
        leaves: list[tuple[str, Member]] = []
        scores: dict[str, JSON] = {}
        tags: dict[str, JSON] = {}
        for column, value in row.items():
            role = self._seen.get(column) or self._role(column)
            if value is None:
                continue
            match role.kind:
                case "score":
                    scores[role.name] = _score(place, column, value.value)
                case "config":
                    leaves.append((role.name, value))
                case "name":
                    members["name"] = plain(_text(value))
                case "own":
                    members[column] = value
                case "tag":
                    tags[column] = _tag(value)
        members["scores"] = plain(scores)
        members["tags"] = plain(tags or None)
        members["config"] = config(leaves, place)
        return Line(place=place, members=members)

    def _role(self, column: str) -> _Role:
        role = _Role("own" if column in _OWN else "tag", column)
        for kind, pattern in reversed(self._patterns):
            name = pattern.name_of(column)
            if name is not None:
                role = _Role(kind, name)
        self._seen[column] = role
        return role

    def check(self, source: str) -> None:
        """Raise SourceError if a pattern has matched no column."""
        for _, pattern in self._patterns:
            if not pattern.is_used:
                msg = f"{source}: no column {pattern.pattern!r}; {_named(self._seen)}"
                raise SourceError(msg)


def read(source: str) -> Records:
    """Raise SourceError, which says how to map the columns."""
    row = next(_rows(source), None)
    columns = {} if row is None else row[1]
    msg = (
        f"{source}: a table: say which columns are scores and which are the config, "
        f"with --score COLUMN and --config COLUMN; {_named(columns)}"
    )
    raise SourceError(msg)


def read_columns(source: str, mapping: ColumnMapping) -> Records:
    """Yield the table as an experiment. Raises SourceError at any point, UsageError."""
    if not mapping.scores or not mapping.config:
        lacking = "--config" if mapping.scores else "--score"
        msg = f"{source}: say also which columns those are: {lacking} COLUMN"
        raise UsageError(msg)
    roles = _Roles(mapping)
    yield from records(_lines(source, roles), source=source, unknown=refuse)


def _lines(source: str, roles: _Roles) -> Iterator[Line]:
    stem = "stdin" if source == STDIN else Path(source).stem
    members = {"type": plain("experiment"), "name": plain(stem)}
    yield Line(place=source, members=members)
    for place, row in _rows(source):
        yield roles.line(place, row)
    roles.check(source)


def _rows(source: str) -> Iterator[tuple[str, Cells]]:
    """Yield each row after its place; JSONL begins with a brace, and CSV does not."""
    lines = raw_lines(source)
    first = [*islice(lines, 1)]
    everything = chain(first, lines)
    is_json = any(raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" for _, raw in first)
    yield from _json_rows(everything) if is_json else _csv_rows(everything)


def _csv_rows(lines: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, Cells]]:
    rows = cells.rows(lines)
    start, header = next(rows, cells.Row("", []))
    for name in repeated(header):
        msg = f"{start}: the column {name!r} is there twice"
        raise SourceError(msg)
    for place, row in rows:
        yield (
            place,
            {
                str(name): _typed(str(cell)) if cell else None
                for name, cell in zip(header, row, strict=True)
            },
        )


def _typed(cell: str) -> Member:
    """Return a number, a list and the like as what it is, and all else as text."""
    found = None if cell.startswith('"') else literal(_PYTHON.get(cell, cell))
    return found or member(cell)


def _json_rows(lines: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, Cells]]:
    for place, raw in lines:
        if raw.strip():
            yield place, dict(_leaves(raw, place, ""))


def _leaves(raw: bytes, place: str, parent: str) -> Iterator[tuple[str, Member | None]]:
    """Yield the leaves of an object by their paths, each as it was written."""
    for key, value in parse(raw, place, lenient=_Every()).members.items():
        path = parent + (str(ConfigPath((key,))) if _DOTTED.search(key) else key)
        if isinstance(value.value, dict) and value.value:
            yield from _leaves(value.text.encode(), place, f"{path}.")
        else:
            yield path, None if value.value is None else value


def _score(place: str, column: str, value: JSON) -> JSON:
    """Return a score; NaN and infinities as the interchange file has them."""
    if isinstance(value, bool):
        return float(value)
    if value is None or isinstance(value, int | float | list):
        return value
    word = str(value).strip().lower()
    if word not in _WORDS:
        msg = f"{place}: {column}: {value!r} is not a number"
        raise SourceError(msg)
    return _WORDS[word]


def _text(value: Member) -> str:
    return value.value if isinstance(value.value, str) else value.text


def _tag(value: Member) -> JSON:
    """Return the value; NaN, which is not a JSON value, is kept as a word."""
    found = literal(value.text)
    return value.text if found is None else found.value


def _named(columns: Iterable[str]) -> str:
    names = [*columns]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"its columns are {', '.join(names[:_SHOWN])}{more}"


def recognises(source: str) -> bool:
    """Return whether the extension is that of a table; stdin always is one."""
    return source == STDIN or Path(source).suffix.lower() in _SUFFIXES


TABLE = Importer(
    title="Table (CSV, JSONL)",
    recognises=recognises,
    read=read,
    read_columns=read_columns,
)
