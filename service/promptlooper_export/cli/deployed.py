"""Files that hold a config: their format, their content and how they differ."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from promptlooper_export.cli.files import format_of_file
from promptlooper_export.cli.terminal import printable
from promptlooper_export.comparison import Change
from promptlooper_export.configs import JSON
from promptlooper_export.configs import Path as ConfigPath
from promptlooper_export.documents import Best, Notice
from promptlooper_export.errors import ComparisonError
from promptlooper_export.redaction import REDACTED, names_secret, redact_text
from promptlooper_export.registry import AnyFormat, Registry, load_format_options

_DEEPEST = 200
"""Levels of nesting to compare; Python's own recursion ends at 1,000 calls."""

_SHOWN = 120
"""The most characters of a value to print."""

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def write_changes(found: Sequence[Change], *, as_json: bool = False) -> None:
    """Write a line for each change to standard output."""
    if as_json:
        rows = [
            {
                "path": change.path,
                "kind": change.kind,
                "old": _masked(change, change.old),
                "new": _masked(change, change.new),
            }
            for change in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for change in found:
        sides = {
            "added": [change.new],
            "removed": [change.old],
            "changed": [change.old, change.new],
        }[change.kind]
        shown = " -> ".join(_shown(_masked(change, side)) for side in sides)
        click.echo(f"{_MARKS[change.kind]} {printable(change.path)}: {shown}")


def _masked(change: Change, value: JSON) -> JSON:
    """Return the value, or a mark for a secret, since the output may go to a log."""
    if value is not None and any(map(names_secret, _words(change.path))):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    return REDACTED if _has_secret(value) else value


def _has_secret(value: JSON) -> bool:
    if isinstance(value, dict):
        return any(map(names_secret, value)) or any(map(_has_secret, value.values()))
    if isinstance(value, list):
        return any(map(_has_secret, value))
    return isinstance(value, str) and redact_text(value) != value


def _words(path: str) -> Iterator[str]:
    yield path
    yield from ConfigPath.parse(path)


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHOWN:
        return printable(text)
    return f"{printable(text[:_SHOWN])}... ({len(text)} characters)"


STDIN = "-"

# Formats differ in whether they can express depth and null.
_PROBE: Mapping[str, JSON] = {"a": {"b": 1}, "n": None}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A file, its format, and the options to read it with."""

    name: str
    data: bytes
    format: AnyFormat
    options: Mapping[str, Any]

    def config(self) -> Mapping[str, JSON]:
        """Return the file's config. Raises ComparisonError if it cannot be read."""
        return read_config(self.format, self.data, self.options, name=self.name)


def load_deployed(
    source: str, registry: Registry, *, kind: str | None, pairs: list[tuple[str, str]]
) -> Deployed:
    """Read a file, or standard input; `kind` names its format.

    Raises UsageError if the format is unknown, and OSError.
    """
    data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    readable = {name: row for name, row in registry.formats.items() if row.read}
    chosen = format_of_file(source, readable, kind=kind, data=data)
    return Deployed(
        name=source,
        data=data,
        format=chosen,
        options=load_format_options(chosen, pairs),
    )


def read_config(
    format: AnyFormat,
    data: bytes,
    options: Mapping[str, Any],
    *,
    name: str,
) -> Mapping[str, JSON]:
    """Return the config as far as the format can say it. Raises ComparisonError."""
    try:
        config = format.parse(data, options)
    except ValueError as error:
        msg = f"{name} is not a {format.title} file, or is incomplete: {error}"
        raise ComparisonError(msg) from error
    except RecursionError as error:
        raise _too_deep(name) from error
    if _is_deep(config):
        raise _too_deep(name)
    return config


def _too_deep(name: str) -> ComparisonError:
    msg = f"{name} is nested more than {_DEEPEST} levels deep; make it flatter"
    return ComparisonError(msg)


def _is_deep(config: Mapping[str, JSON]) -> bool:
    level: list[JSON] = list(config.values())
    for _ in range(_DEEPEST):
        level = [
            member
            for value in level
            if isinstance(value, dict | list)
            for member in (value.values() if isinstance(value, dict) else value)
        ]
    return bool(level)


def made_up(config: Mapping[str, JSON]) -> Iterator[Best]:
    """Yield two documents around a config of which no run is known.

    They have nothing else in common.
    """
    for mark in (1, 2):
        yield Best(
            experiment_name=str(mark),
            experiment_id=UUID(int=mark),
            exported_at=datetime(1970 + mark, 1, 1, tzinfo=UTC),
            weighted_score=mark,
            scores={str(mark): mark},
            run_id=UUID(int=mark),
            config_hash=str(mark),
            config=config,
        )


def config_said_in(
    config: Mapping[str, JSON],
    format: AnyFormat,
    options: Mapping[str, Any],
) -> Mapping[str, JSON]:
    """Return a config as another format expresses it: as variables, for example.

    Raises UnrepresentableError if the format refuses it.
    """
    # Only the config is read back, so the rest may be anything.
    best = next(made_up(config))
    pieces = format.stream(best, options)
    data = b"".join(piece for piece in pieces if not isinstance(piece, Notice))
    return read_config(format, data, options, name=format.name)


def is_flat(deployed: Deployed) -> bool:
    """Return whether the format can express only variables."""
    return _says(deployed) == 0


def poorer(one: Deployed, other: Deployed) -> Deployed:
    """Return the file whose format can express less, which is the one to compare in."""
    return one if _says(one) <= _says(other) else other


def _says(deployed: Deployed) -> int:
    """Rank what a format can express: depth and null, depth alone, or neither."""
    said = config_said_in(_PROBE, deployed.format, deployed.options)
    return ("a" in said) + (said == _PROBE)
