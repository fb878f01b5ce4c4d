"""The sections of the report about why runs scored as they did, or failed."""

from collections.abc import Iterator

from promptlooper_export.plugin import (
    Parameter,
    ParameterValue,
    Report,
    ScorerStatistics,
)
from promptlooper_formats.markdown.text import (
    bars,
    escaped,
    short_code,
    table,
)
from promptlooper_formats.markdown.winner import NOTHING_SCORED
from promptlooper_formats.shared import sentences
from promptlooper_formats.shared.quantities import (
    counted,
    listed,
    number,
    percent,
    probability,
    weight,
)
from promptlooper_formats.shared.selection import cut

_LISTED = 12
"""How many parameters are listed."""

_DETAILED = 5
"""Of how many parameters the values are listed."""


def parameters(report: Report) -> Iterator[str]:
    """Yield which parameters go with high scores."""
    found = report.parameters
    if found is None or not (found.parameters or found.left_out):
        return
    yield escaped(sentences.parameters(found))
    if found.parameters:
        yield table(
            ("Parameter", "Variance:", "Corrected for luck:", "p:", "Runs:"),
            (
                (
                    escaped(one.path),
                    percent(one.share),
                    percent(one.corrected),
                    probability(one.p),
                    number(one.runs),
                )
                for one in found.parameters[:_LISTED]
            ),
        )
        yield table(
            ("Parameter", "Value", "Runs:", "Mean:", "95 % from:", "To:"),
            (
                (
                    escaped(one.path),
                    _parameter_value(one, value),
                    number(value.runs),
                    number(value.mean),
                    number(value.low),
                    number(value.high),
                )
                for one in found.parameters[:_DETAILED]
                for value in one.values
            ),
        )
    if found.left_out:
        reasons = {
            reason: listed(one.path for one in found.left_out if one.reason == reason)
            for reason in sorted({one.reason for one in found.left_out})
        }
        said = "; ".join(
            f"{paths} ({sentences.LEFT_OUT[reason]})"
            for reason, paths in reasons.items()
        )
        yield f"Nothing can be said about {escaped(said)}."


def _parameter_value(parameter: Parameter, value: ParameterValue) -> str:
    if not value.is_set:
        return "not set"
    if parameter.kind == "categorical":
        return short_code(value.value)
    if value.least == value.most:
        return weight(value.least)
    return f"{weight(value.least)} to {weight(value.most)}"


def failures(report: Report) -> Iterator[str]:
    """Yield what went wrong in failed runs."""
    found = report.failures
    if found is None:
        return
    kinds = counted(len(found.groups) + found.further, "kind")
    yield f"{counted(found.runs, 'run')} failed, with {kinds} of error."
    yield table(
        ("Failed runs:", "Error", "Retry", "Such as"),
        (
            (
                number(one.count),
                "no error was stored"
                if one.message is None
                else escaped(cut(one.message)),
                sentences.RETRIES[one.retry],
                str(one.run_ids[0]),
            )
            for one in found.groups
        ),
    )
    if found.further_runs:
        yield f"{counted(found.further_runs, 'further run')} with other errors."


_ORDER = ("count", "min", "q1", "median", "q3", "max", "mean", "standard_deviation")


def distributions(report: Report) -> Iterator[str]:
    """Yield the statistics of each scorer."""
    if not report.scorers:
        yield NOTHING_SCORED
        return
    names = sorted(
        {name for scorer in report.scorers for name in scorer.values},
        # The usual statistics in their order, then any others by name.
        key=lambda name: (name not in _ORDER, (*_ORDER, name).index(name), name),
    )
    titles = (f"{name.replace('_', ' ').capitalize()}:" for name in names)
    yield table(
        ("Scorer", "Direction", "Required", "Weight:", *titles, "Histogram"),
        (_distribution(scorer, names) for scorer in report.scorers),
    )
    yield "Each histogram goes from the lowest value, left, to the highest."


def _distribution(scorer: ScorerStatistics, names: list[str]) -> tuple[str, ...]:
    highest = max((bar.count for bar in scorer.histogram), default=1)
    return (
        escaped(scorer.name),
        scorer.direction,
        "yes" if scorer.required else "no",
        weight(scorer.weight),
        *(number(scorer.values.get(name)) for name in names),
        bars(bar.count / highest for bar in scorer.histogram),
    )


def coverage(report: Report) -> Iterator[str]:
    """Yield the scorers that did not judge every completed run."""
    gaps = sentences.gaps(report.coverage)
    if gaps:
        yield table(
            (
                "Scorer",
                "Completed runs:",
                "Without it:",
                "Judgements NULL:",
                "NaN or infinite:",
            ),
            (
                (
                    escaped(one.name),
                    number(one.runs),
                    number(one.missing),
                    number(one.nulls),
                    number(one.not_finite),
                )
                for one in gaps
            ),
        )
