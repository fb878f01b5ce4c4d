"""Files that hold a config: which format each has, what it says, and how it differs."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from promptlooper_export.cli.terminal import printable
from promptlooper_export.comparison import Change
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Notice
from promptlooper_export.errors import ComparisonError, UsageError
from promptlooper_export.redaction.names import names_secret
from promptlooper_export.redaction.shapes import REDACTED, redact_text
from promptlooper_export.registry import AnyFormat, Registry, load_format_options

_SHOWN = 120
"""Characters of a value that are shown."""

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
    """Return the value, or a mark for a secret: a log is no place for one."""
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
    yield from path.split(".")


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHOWN:
        return printable(text)
    return f"{printable(text[:_SHOWN])}... ({len(text)} characters)"


STDIN = "-"

_MANIFEST = re.compile(
    rb"^kind:[ \t]*[\"']?(ConfigMap|Secret)[\"']?[ \t]*\r?$", re.MULTILINE
)
_SYNONYMS = {".yml": ".yaml", ".tfvars.json": ".auto.tfvars.json"}

# What distinguishes formats: depth, null, and text that looks like another value.
_PROBE: Mapping[str, JSON] = {"a": {"b": 1}, "n": None}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A file, the format that it is in, and the options to read it with."""

    name: str
    data: bytes
    format: AnyFormat
    options: Mapping[str, Any]

    def config(self) -> Mapping[str, JSON]:
        """Return what the file says. Raises ComparisonError where it cannot be read."""
        return read_config(self.format, self.data, self.options, name=self.name)


def load_deployed(
    source: str, registry: Registry, *, kind: str | None, pairs: list[tuple[str, str]]
) -> Deployed:
    """Read a file, or standard input; `kind` names its format.

    Raises UsageError where the format is not known, and OSError.
    """
    data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    readable = {name: row for name, row in registry.formats.items() if row.read}
    found = kind or recognised(source, data, readable)
    if found not in readable:
        known = ", ".join(readable)
        msg = f"{source}: in which format? Name one with --from: {known}"
        raise UsageError(msg)
    chosen = readable[found]
    return Deployed(
        name=source,
        data=data,
        format=chosen,
        options=load_format_options(chosen, pairs),
    )


def recognised(
    source: str, data: bytes, formats: Mapping[str, AnyFormat]
) -> str | None:
    """Return the name of the format of a file, by its name and its first lines."""
    name = Path(source).name
    if name == ".env" or name.startswith(".env."):
        return "env"
    for spelled, meant in _SYNONYMS.items():
        if name.endswith(spelled):
            name = name.removesuffix(spelled) + meant
    if name.endswith(".yaml") and (found := _MANIFEST.search(data)):
        return found[1].decode().lower()
    fitting = [row for row in formats.values() if name.endswith(f".{row.extension}")]
    return max(fitting, key=lambda row: len(row.extension)).name if fitting else None


def read_config(
    format: AnyFormat,  # noqa: A002  the field's word
    data: bytes,
    options: Mapping[str, Any],
    *,
    name: str,
) -> Mapping[str, JSON]:
    """Return the config as far as the format can say it. Raises ComparisonError."""
    try:
        return format.parse(data, options)
    except ValueError as error:
        msg = f"{name} is not a {format.title} file, or not whole: {error}"
        raise ComparisonError(msg) from error


def config_said_in(
    config: Mapping[str, JSON],
    format: AnyFormat,  # noqa: A002
    options: Mapping[str, Any],
) -> Mapping[str, JSON]:
    """Return a config as another format says it: variables, for example.

    Raises what the format refuses.
    """
    best = Best(
        experiment_name="",
        experiment_id=UUID(int=0),
        exported_at=datetime(1970, 1, 1, tzinfo=UTC),
        weighted_score=0,
        scores={},
        run_id=UUID(int=0),
        config_hash="",
        config=config,
    )
    pieces = format.stream(best, options)
    data = b"".join(piece for piece in pieces if not isinstance(piece, Notice))
    return read_config(format, data, options, name=format.name)


def is_flat(deployed: Deployed) -> bool:
    """Return whether the format knows variables only."""
    return _says(deployed) == 0


def poorer(one: Deployed, other: Deployed) -> Deployed:
    """Return the one whose format says less of a config: the one to compare in."""
    return one if _says(one) <= _says(other) else other


def _says(deployed: Deployed) -> int:
    """Count what a format can say: both depth and null, one of them, or neither."""
    said = config_said_in(_PROBE, deployed.format, deployed.options)
    return ("a" in said) + (said == _PROBE)
