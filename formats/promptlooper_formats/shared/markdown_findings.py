"""The sections of a Markdown report about what was found out."""

from collections.abc import Iterator

from promptlooper_export.plugin import Crossing, Parameter, ParameterValue, Report
from promptlooper_formats.shared.markdown_text import (
    code,
    duration,
    escaped,
    number,
    table,
)

_DETAILED = 5
"""Of how many parameters the values are listed."""


def parameters(report: Report) -> Iterator[str]:
    """Yield which parameters go with high scores."""
    found = report.parameters
    if found is None:
        return
    if found.parameters:
        yield (
            "Parameters by how much of the variance of scores goes with them, over "
            f"{number(found.used)} of {number(found.runs)} runs; corrected for what "
            "luck explains on average. p is the probability of as much if the "
            "parameter made no difference. What goes with high scores need not cause "
            "them."
        )
        yield table(
            ("Parameter", "Variance:", "Corrected:", "p:", "Runs:"),
            (
                (
                    escaped(one.path),
                    f"{one.share:.1%}",
                    f"{one.corrected:.1%}",
                    number(one.p),
                    number(one.runs),
                )
                for one in found.parameters
            ),
        )
        yield table(
            ("Parameter", "Value", "Runs:", "Mean:", "95% from:", "To:"),
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
        yield "Nothing can be said about: " + ", ".join(
            f"{escaped(one.path)} ({one.reason})" for one in found.left_out
        )


def _parameter_value(parameter: Parameter, value: ParameterValue) -> str:
    if not value.is_set:
        return "not set"
    if parameter.kind == "categorical":
        return code(value.value)
    if value.least == value.most:
        return number(value.least)
    return f"{number(value.least)} to {number(value.most)}"


def failures(report: Report) -> Iterator[str]:
    """Yield what went wrong in failed runs."""
    found = report.failures
    if found is None:
        return
    yield table(
        ("Error", "Failed runs:", "Retry may help", "Such as"),
        (
            (
                "none given" if one.message is None else escaped(one.message),
                number(one.count),
                one.retry,
                str(one.run_ids[0]),
            )
            for one in found.groups
        ),
    )
    if found.further_runs:
        yield f"Further failed runs, with other errors: {number(found.further_runs)}."


_MEASURES = {"cost_usd": "cost", "duration_ms": "duration"}


def trade_offs(report: Report) -> Iterator[str]:
    """Yield the runs that no other run beats on score and cost or duration."""
    for found in report.trade_offs:
        measure = _MEASURES[found.measure]
        shown = number if found.measure == "cost_usd" else duration
        unit = " (USD)" if found.measure == "cost_usd" else ""
        yield (
            f"Runs that no other run beats on both score and {measure}: "
            f"{number(len(found.points))} of {number(found.count)}. Runs without a "
            f"{measure}, left out: {number(found.without)}."
        )
        yield table(
            ("Run", "Weighted score:", f"{measure.capitalize()}{unit}:"),
            (
                (str(one.run_id), number(one.weighted_score), shown(one.value))
                for one in found.points
            ),
        )


def coverage(report: Report) -> Iterator[str]:
    """Yield the scorers that did not judge every completed run."""
    gaps = [
        one for one in report.coverage if one.missing or one.nulls or one.not_finite
    ]
    if gaps:
        yield table(
            (
                "Scorer",
                "Completed runs:",
                "Without it:",
                "Judgements NULL:",
                "Not finite:",
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


def sensitivity(report: Report) -> Iterator[str]:
    """Yield which weight, changed alone, has another run win."""
    found = report.sensitivity
    if found is not None and found.scorers:
        yield table(
            ("Scorer", "Weight:", "Below", "Above"),
            (
                (
                    escaped(one.scorer),
                    number(one.weight),
                    _crossing(one.lower),
                    _crossing(one.upper),
                )
                for one in found.scorers
            ),
        )


def _crossing(found: Crossing | None) -> str:
    if found is None:
        return "the winner stays"
    return f"{number(found.weight)}: run {found.run_id} wins"
