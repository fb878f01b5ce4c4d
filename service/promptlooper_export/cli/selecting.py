"""What the commands that write documents share: which part, and which winner."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from typing import Any, TypeAlias, TypeVar

import click

from promptlooper_export.analysis.verdict import MARGIN as DEFAULT_MARGIN
from promptlooper_export.documents import Report, Runs
from promptlooper_export.errors import UsageError
from promptlooper_export.export import Selection
from promptlooper_export.registry import AnyFormat
from promptlooper_export.store.against import Opponent
from promptlooper_export.store.snapshot import Snapshot
from promptlooper_export.store.what_if import (
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

Selecting: TypeAlias = Callable[[AnyFormat], Selection]
"""Returns the selection that the options ask for; raises UsageError."""

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


_AGAINST = click.option(
    "--against",
    metavar="ID|NAME",
    help="Also compare the winner with that of another experiment.",
)

_FORCE = click.option(
    "--force",
    is_flag=True,
    help="Compare even if the experiments differ in scorers, rule or parameter space.",
)


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another experiment to compare with, by its id or name; None for no comparison."""

    reference: str | None
    force: bool

    def find(self, snapshot: Snapshot) -> Opponent | None:
        """Return the experiment. Raises ExperimentNotFoundError and UsageError."""
        if self.reference is None:
            return None
        found = snapshot.find(self.reference)
        return Opponent(experiment=found, force=self.force)


def other_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that make up its argument `other`."""

    @wraps(command)
    def collected(*, against: str | None, force: bool, **values: Any) -> None:  # noqa: ANN401  the values of click's options
        if force and against is None:
            msg = "--force is about another experiment: it needs --against"
            raise UsageError(msg)
        command(other=Other(reference=against, force=force), **values)

    return _AGAINST(_FORCE(collected))


@dataclass(frozen=True, kw_only=True)
class Election:
    """How to choose the winner, and what to compare it with."""

    what_if: WhatIf
    baseline: str | None
    margin: float | None

    @property
    def tolerance(self) -> float:
        """The margin, by default the usual one."""
        return DEFAULT_MARGIN if self.margin is None else self.margin


def election_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that make up its argument `election`."""

    @wraps(command)
    def collected(
        *,
        baseline: str | None,
        margin: float | None,
        **values: Any,  # noqa: ANN401  the values of click's options
    ) -> None:
        what_if = what_if_of({name: values.pop(name) for name in _WHAT_IF})
        election = Election(what_if=what_if, baseline=baseline, margin=margin)
        command(election=election, **values)

    decorated: Callable[..., None] = collected
    for option in (MARGIN, BASELINE, *reversed(_WHAT_IF.values())):
        decorated = option(decorated)
    return decorated


_PARTS = {
    "top_n": click.option(
        "--top-n",
        type=click.IntRange(1, 50),
        help="How many runs a report ranks.  [default: 5]",
    ),
    "limit": click.option(
        "--limit", type=click.IntRange(min=1), help="Write at most this many runs."
    ),
    "after": click.option(
        "--after",
        type=click.UUID,
        metavar="RUN",
        help="Write only the runs after this one.",
    ),
}


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that make up its arguments `selecting` and `other`.

    `selecting` is a function that returns the selection for a format, and raises
    UsageError for options that the format's document does not have.
    """

    @wraps(command)
    def collected(*, election: Election, other: Other, **values: Any) -> None:  # noqa: ANN401  the values of click's options
        parts = {name: values.pop(name) for name in _PARTS}
        given = {name: value for name, value in parts.items() if value is not None}

        def selecting(chosen: AnyFormat) -> Selection:
            return _selection(chosen, election, other, given)

        command(selecting=selecting, other=other, **values)

    decorated = election_options(other_options(collected))
    for option in reversed(_PARTS.values()):
        decorated = option(decorated)
    return decorated


def _selection(
    chosen: AnyFormat, election: Election, other: Other, parts: dict[str, Any]
) -> Selection:
    compared = (election.baseline, election.margin, other.reference)
    if chosen.document is not Report and compared != (None, None, None):
        options = "--baseline, --margin and --against"
        msg = f"{options} are for reports; {chosen.name!r} is not one"
        raise UsageError(msg)
    if "top_n" in parts and chosen.document is not Report:
        msg = f"--top-n is for reports; the format {chosen.name!r} does not write one"
        raise UsageError(msg)
    if parts.keys() & {"limit", "after"} and chosen.document is not Runs:
        msg = f"--limit and --after are for runs; {chosen.name!r} does not write runs"
        raise UsageError(msg)
    if election.what_if != STORED and chosen.document is Runs:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _WHAT_IF)
        msg = f"{options} choose a winner; {chosen.name!r} writes all runs"
        raise UsageError(msg)
    return Selection(
        what_if=election.what_if,
        baseline=election.baseline,
        margin=election.tolerance,
        **parts,
    )
