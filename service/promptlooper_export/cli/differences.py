"""Differences between configs as lines, or as JSON, without secrets."""

import json
from collections.abc import Iterator, Sequence

import click

from promptlooper_export.cli.terminal import printable
from promptlooper_export.comparison import Change
from promptlooper_export.documents import JSON
from promptlooper_export.redaction.names import names_secret
from promptlooper_export.redaction.shapes import REDACTED, redact_text

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
