"""What the commands that write exports share: options, limits and the output."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from promptlooper_export.analysis.verdict import MARGIN as DEFAULT_MARGIN
from promptlooper_export.cli.completion import complete_format, complete_option
from promptlooper_export.cli.files import format_named_by, write_whole
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.documents import Report, Runs
from promptlooper_export.errors import UsageError, WarnedError
from promptlooper_export.export import Limits, Selection
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.settings import Settings
from promptlooper_export.spool import Body
from promptlooper_export.store.what_if import (
    ASKED_FOR,
    BYS,
    PREFERENCES,
    STORED,
    RuleSyntaxError,
    WhatIf,
    read_directions,
    read_repeat_over,
    read_required,
    read_weights,
    what_if_of,
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
    help="Where to write, whole or not at all; by default standard output.",
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
BASELINE = click.option(
    "--baseline",
    metavar="RUN|NAME|HASH",
    help="Also compare the winner with this run's config, or with a config_hash.",
)


def _finite(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    """Refuse NaN, which is in every range."""
    if value is not None and not isfinite(value):
        msg = "must be a finite number"
        raise click.BadParameter(msg, ctx, param)
    return value


MARGIN = click.option(
    "--margin",
    type=click.FloatRange(min=0),
    callback=_finite,
    help=f"Differences up to this count as none.  [default: {DEFAULT_MARGIN}]",
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


def _reading(
    read: Callable[[str], V],
) -> Callable[[click.Context, click.Parameter, str | None], V | None]:
    """Return a callback that reads a part of the winner's rule."""

    def callback(
        ctx: click.Context, param: click.Parameter, value: str | None
    ) -> V | None:
        if value is None:
            return None
        try:
            return read(value)
        except RuleSyntaxError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


_WHAT_IF = {
    "weights": click.option(
        "--weights",
        metavar="SCORER:NUMBER,...",
        callback=_reading(read_weights),
        help="What if: weigh scorers like this instead of as stored; or a JSON object.",
    ),
    "directions": click.option(
        "--directions",
        metavar="SCORER:WORD,...",
        callback=_reading(read_directions),
        help="What if: maximize or minimize scorers; or a JSON object.",
    ),
    "required": click.option(
        "--required",
        metavar="SCORER,...",
        callback=_reading(read_required),
        help="What if: only runs with a score by each of these count; or a JSON list.",
    ),
    "by": click.option(
        "--by",
        type=click.Choice(BYS),
        help="config: the config with the highest mean of its runs.  [default: run]",
    ),
    "min_runs": click.option(
        "--min-runs",
        type=click.IntRange(min=1),
        help="The runs that a config needs to be elected.  [default: 1]",
    ),
    "repeat_over": click.option(
        "--repeat-over",
        metavar="PATH,...",
        callback=_reading(read_repeat_over),
        help="Runs whose configs differ only here, as in a seed, are of one config.",
    ),
    "prefer": click.option(
        "--prefer",
        type=click.Choice(PREFERENCES),
        help="The cheapest or fastest config within one standard error of the best.",
    ),
}


def what_if_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that make up its argument `what_if`."""

    @wraps(command)
    def collected(**values: Any) -> None:  # noqa: ANN401  the values of click's options
        given = {name: values.pop(name) for name in _WHAT_IF}
        command(what_if=what_if_of(given), **values)

    decorated: Callable[..., None] = collected
    for option in reversed(_WHAT_IF.values()):
        decorated = option(decorated)
    return decorated


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


def selection_for(
    chosen: AnyFormat,
    *,
    top_n: int | None,
    limit: int | None,
    after: UUID | None,
    what_if: WhatIf = STORED,
    baseline: str | None = None,
    margin: float | None = None,
) -> Selection:
    """Return the requested part of the experiment. Raises UsageError."""
    if chosen.document is not Report and (baseline, margin) != (None, None):
        msg = f"--baseline and --margin are for reports; {chosen.name!r} is not one"
        raise UsageError(msg)
    if top_n is not None and chosen.document is not Report:
        msg = f"--top-n is for reports; the format {chosen.name!r} does not write one"
        raise UsageError(msg)
    if (limit or after) and chosen.document is not Runs:
        msg = f"--limit and --after are for runs; {chosen.name!r} does not write runs"
        raise UsageError(msg)
    if what_if != STORED and chosen.document is Runs:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _WHAT_IF)
        msg = f"{options} choose a winner; {chosen.name!r} writes all runs"
        raise UsageError(msg)
    selection = Selection(limit=limit, after=after, what_if=what_if, baseline=baseline)
    others = {"top_n": top_n, "margin": margin}
    given: dict[str, Any] = {
        name: value for name, value in others.items() if value is not None
    }
    return replace(selection, **given)


def limits_for(loaded: Settings) -> Limits:
    """Return the limits of an export to a file: as large and slow as it must be."""
    return Limits(spool_bytes=UNLIMITED, spool_directory=loaded.spool_dir)


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
    """Write a body to a file or to standard output, and its warnings to stderr.

    A new file is for its owner only if the body or the format is `private`.
    Raises WarnedError if it is to be `strict` and there are warnings, and UsageError
    instead of writing a binary body to a terminal.
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
            write_whole(Path(output), body.file, mode=mode)
            size = counted(body.length, "byte")
            note(f"wrote {printable(output)} ({size}, {format.name})")
