"""What the commands that write exports share: options, limits and the output."""

import shutil
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import click

from promptlooper_export.cli.addresses import place_of, require_writer
from promptlooper_export.cli.completion import complete_format, complete_option
from promptlooper_export.cli.files import format_named_by, write_whole
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.errors import UsageError, WarnedError
from promptlooper_export.export import Limits, use_directory
from promptlooper_export.redaction import redact_text
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.settings import Settings
from promptlooper_export.spool import Body
from promptlooper_export.store.what_if import (
    ASKED_FOR,
)

V = TypeVar("V")

STDOUT = "-"
UNLIMITED = 1 << 63


def split_pairs(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Split each `name=value` at its first `=`; click.BadParameter without one."""
    pairs = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            msg = f"{value!r} must look like name=value"
            raise click.BadParameter(msg, ctx, param)
        pairs.append((name, text))
    return pairs


FORMAT = click.option(
    "-f",
    "--format",
    "format_name",
    metavar="FORMAT",
    shell_complete=complete_format,
    help="A format that `formats` lists; by default the one for FILE's extension.",
)
FROM = click.option(
    "--from",
    "kind",
    metavar="FORMAT",
    shell_complete=complete_format,
    help="The format of the file; by default the one for its name.",
)
OUTPUT = click.option(
    "-o",
    "--output",
    metavar="FILE",
    default=STDOUT,
    callback=require_writer,
    help="Where to write, whole or not at all: a file, or an address such as "
    "s3://BUCKET/FILE; by default standard output.",
)
OPTIONS = click.option(
    "-O",
    "--option",
    "pairs",
    multiple=True,
    callback=split_pairs,
    shell_complete=complete_option,
    metavar="NAME=VALUE",
    help="An option of the format; repeat for more.",
)
REPRODUCIBLE = click.option(
    "--reproducible",
    is_flag=True,
    help="Use the time of the last change instead of now: same data, same bytes.",
)
UNREDACTED = click.option(
    "--unredacted",
    is_flag=True,
    help="Keep secrets in the export instead of redacting them.",
)


def named(registry: Registry, name: str) -> AnyFormat:
    """Return the format with this name. Raises UsageError, suggesting the closest."""
    if name in registry.formats:
        return registry.formats[name]
    close = get_close_matches(name, registry.formats, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    msg = f"no format {name!r}; {hint}available: {', '.join(registry.formats)}"
    raise UsageError(msg)


def choose_format(registry: Registry, *, name: str | None, output: str) -> AnyFormat:
    """Return the format with this name, else the one for the file, else the first.

    Raises UsageError.
    """
    if name is None and output == STDOUT:
        return next(iter(registry.formats.values()))
    chosen = (
        format_named_by(output, registry.formats)
        if name is None
        else named(registry, name)
    )
    if chosen is None:
        known = ", ".join(registry.formats)
        msg = f"no format has the extension of {output!r}; name one with -f: {known}"
        raise UsageError(msg)
    registry.require(chosen.name)
    return chosen


def limits_for(loaded: Settings) -> Limits:
    """Return the limits of an export to a file: as large and slow as it must be.

    Raises SettingsError if temporary files cannot be written where they should be.
    """
    use_directory(loaded.spool_dir)
    return Limits(spool_bytes=UNLIMITED)


STRICT = click.option(
    "--strict", is_flag=True, help="Fail and write nothing if there is a warning."
)


_LOOKED_AT = 1 << 13
"""Bytes in which a binary body has a NUL, which no text has."""


def write_body(
    body: Body,
    output: str,
    format: AnyFormat,
    *,
    strict: bool = False,
    private: bool = False,
) -> None:
    """Write a body to a file, an address or standard output; its warnings to stderr.

    A new file is for its owner only if the body or the format is `private`.
    Raises WarnedError if it is to be `strict` and there are warnings, UsageError
    instead of writing a binary body to a terminal, OSError and TargetError.
    """
    for notice in body.notices:
        note(f"warning: {printable(str(notice))}")
    with body:
        # What was asked for is worth a notice, but nothing to correct.
        unexpected = [notice for notice in body.notices if notice.code not in ASKED_FOR]
        if strict and unexpected:
            warnings = counted(len(unexpected), "warning")
            msg = f"{warnings}, and nothing was written: correct them or omit --strict"
            raise WarnedError(msg)
        if output == STDOUT:
            if sys.stdout.isatty() and b"\0" in body.file.read(_LOOKED_AT):
                msg = f"{format.name} is binary; write it to a file: -o FILE"
                raise UsageError(msg)
            body.file.seek(0)
            shutil.copyfileobj(body.file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            mode = 0o600 if private or format.private else 0o666
            place = place_of(output)
            if isinstance(place, Path):
                write_whole(place, body.file, mode=mode)
            else:
                place.write(body.file)
            size = counted(body.length, "byte")
            note(f"wrote {printable(redact_text(output))} ({size}, {format.name})")
