"""What the commands that write exports share: options, and writing whole files."""

import os
import secrets
import shutil
import sys
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import IO
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.documents import Report, Runs
from promptlooper_export.errors import UsageError, WarnedError
from promptlooper_export.export import Limits, Selection
from promptlooper_export.registry import AnyFormat, Registry, discover
from promptlooper_export.settings import Settings
from promptlooper_export.spool import Body


def write_whole(path: Path, body: IO[bytes]) -> None:
    """Replace the file with the body in one step.

    Follows links and keeps an existing file's mode. Writes straight to a device or a
    pipe, which cannot be replaced. On failure (OSError), the old file stays.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            shutil.copyfileobj(body, device)
        return
    # Otherwise a link itself would be replaced.
    target = path.resolve()
    # In the same directory, since a rename cannot cross file systems.
    temporary = target.with_name(f".promptlooper-{secrets.token_hex(8)}")
    try:
        # x: never write into a file or through a link that is already there.
        with temporary.open("xb") as file:
            shutil.copyfileobj(body, file)
            file.flush()
            # Before the rename, or a power cut could leave an empty file there.
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    # KeyboardInterrupt, and SystemExit for TERM, must leave no temporary file either.
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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


def complete_format(
    ctx: click.Context,
    param: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """Complete the name of a format."""
    return [
        CompletionItem(name, help=row.title)
        for name, row in discover().formats.items()
        if name.startswith(incomplete)
    ]


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
    help="Where to write, whole or not at all; by default standard output.",
)
OPTIONS = click.option(
    "-O",
    "--option",
    "pairs",
    multiple=True,
    callback=split_pairs,
    metavar="NAME=VALUE",
    help="An option of the format; repeat for more.",
)
TOP_N = click.option(
    "--top-n",
    type=click.IntRange(1, 50),
    help="How many runs a report ranks.  [default: 5]",
)
LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), help="Write at most this many runs."
)
AFTER = click.option(
    "--after",
    type=click.UUID,
    metavar="RUN",
    help="Write only the runs after this one.",
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
    """Return the format with this name, else for the file's extension, else the first.

    The longest extension wins, then registry order. Raises UsageError.
    """
    if name is not None:
        chosen = named(registry, name)
        registry.require(name)
        return chosen
    fitting = [
        row
        for row in registry.formats.values()
        if output == STDOUT or Path(output).name.endswith(f".{row.extension}")
    ]
    if not fitting:
        known = ", ".join(registry.formats)
        msg = f"no format has the extension of {output!r}; name one with -f: {known}"
        raise UsageError(msg)
    if output == STDOUT:
        return fitting[0]
    chosen = max(fitting, key=lambda row: len(row.extension))
    registry.require(chosen.name)
    return chosen


def selection_for(
    chosen: AnyFormat, *, top_n: int | None, limit: int | None, after: UUID | None
) -> Selection:
    """Return the requested part of the experiment. Raises UsageError."""
    if top_n is not None and chosen.document is not Report:
        msg = f"--top-n is for reports; the format {chosen.name!r} does not write one"
        raise UsageError(msg)
    if (limit or after) and chosen.document is not Runs:
        msg = f"--limit and --after are for runs; {chosen.name!r} does not write runs"
        raise UsageError(msg)
    selection = Selection(limit=limit, after=after)
    return selection if top_n is None else replace(selection, top_n=top_n)


def limits_for(loaded: Settings) -> Limits:
    """Return the limits of an export to a file: as large and slow as it must be."""
    return Limits(spool_bytes=UNLIMITED, spool_directory=loaded.spool_dir)


STRICT = click.option(
    "--strict", is_flag=True, help="Fail and write nothing if there is a warning."
)


def write_body(body: Body, output: str, *, strict: bool = False) -> None:
    """Write a body to a file or to standard output, and its warnings to stderr.

    Raises WarnedError if it is to be `strict` and there are warnings.
    """
    for notice in body.notices:
        note(f"warning: {printable(str(notice))}")
    with body:
        if strict and body.notices:
            warnings = counted(len(body.notices), "warning")
            msg = f"{warnings}, and nothing was written: correct them or omit --strict"
            raise WarnedError(msg)
        if output == STDOUT:
            shutil.copyfileobj(body.file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            write_whole(Path(output), body.file)
