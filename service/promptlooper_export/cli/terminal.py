"""What people read: messages on stderr, tables on stdout."""

import json
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper

import click


def printable(text: str) -> str:
    """Return the text on one line, with terminal control characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def escape_what_does_not_fit() -> None:
    """Write characters that the terminal's encoding lacks as escapes from now on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def note(text: str) -> None:
    """Write a line to stderr."""
    click.echo(text, err=True)


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON instead.")


def write_json(value: object) -> None:
    """Write a value to standard output as JSON in ASCII, unknown objects as text."""
    click.echo(json.dumps(value, indent=2, default=repr))


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1,234 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as lines, with columns aligned to the left."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def write_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool
) -> None:
    """Write rows as aligned columns, or as JSON objects with the columns as keys."""
    if as_json:
        keys = [column.lower().replace(" ", "_") for column in columns]
        write_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    for line in table([columns, *rows]):
        click.echo(line)
