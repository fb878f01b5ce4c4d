"""The sections of the report that stand for charts: how scores came, and lie."""

from collections.abc import Iterator

from promptlooper_export.plugin import Bin, Period, Report, TradeOff
from promptlooper_formats.markdown.text import bar, bars, escaped, table
from promptlooper_formats.shared import sentences
from promptlooper_formats.shared.quantities import (
    column,
    counted,
    duration,
    moment,
    number,
)
from promptlooper_formats.shared.selection import cut

_MOST_CASES = 10
"""How many of the cases that differ most are listed."""


def history(report: Report) -> Iterator[str]:
    """Yield how the best score came about, and the mean over time."""
    periods = report.history
    if len(periods) < 2:  # noqa: PLR2004  one period has no course
        return
    yield sentences.history(report)
    first, last = moment(periods[0].start), moment(periods[-1].end)
    yield f"Mean weighted score from {first} to {last}: {_course(periods)}"
    rises = sentences.rises(periods)
    yield table(
        ("New best after", "Best:", "Mean:", "Runs:"),
        zip(
            (moment(period.start) for period in rises),
            column([period.best for period in rises]),
            column([period.mean for period in rises]),
            (number(period.count) for period in rises),
            strict=True,
        ),
    )


def _course(periods: tuple[Period, ...]) -> str:
    """Draw the means from an eighth, the lowest, to the full height."""
    means = [period.mean for period in periods]
    low = min(means)
    reach = (max(means) - low) or 1
    # The lowest mean gets an eighth, since a dot means nothing at all.
    return bars((1 + 7 * (mean - low) / reach) / 8 for mean in means)


def all_scores(report: Report) -> Iterator[str]:
    """Yield how the weighted scores of all runs are distributed."""
    found = report.distribution
    if found is None or not found.histogram:
        return
    yield sentences.distribution(report)
    highest = max(bin_.count for bin_ in found.histogram)
    best = report.winner.run.weighted_score if report.winner else None
    last = found.histogram[-1]
    yield table(
        ("Weighted score", "Runs:", ""),
        (
            (
                f"{number(bin_.low)} to {number(bin_.high)}",
                number(bin_.count),
                bar(bin_.count / highest) + _mark(bin_, best, is_last=bin_ is last),
            )
            for bin_ in found.histogram
        ),
    )


def _mark(bin_: Bin, best: float | None, *, is_last: bool) -> str:
    if best is None or not bin_.low <= best <= bin_.high:
        return ""
    return "" if best == bin_.high and not is_last else " winner"


def cases(report: Report) -> Iterator[str]:
    """Yield on which cases the winner is ahead of the runner-up, and behind."""
    verdict = sentences.runner_up_verdict(report)
    if verdict is None or verdict.by_case is None:
        return
    found = verdict.by_case
    yield sentences.by_case(verdict)
    shown = found.cases[:_MOST_CASES]
    yield table(
        ("Case", "Winner:", "Runner-up:"),
        zip(
            (escaped(cut(case.case_id)) for case in shown),
            column([case.winner for case in shown]),
            column([case.other for case in shown]),
            strict=True,
        ),
    )
    others = found.further + len(found.cases) - len(shown)
    hidden = f"; {counted(others, 'other')} not shown" if others else ""
    yield f"The {counted(len(shown), 'case')} that differ most{hidden}."


def trade_offs(report: Report) -> Iterator[str]:
    """Yield the runs that no other run beats on score and cost or duration."""
    for found in report.trade_offs:
        yield sentences.front(found)
        yield table(
            ("Run", "Weighted score:", _TITLES[found.measure]),
            zip(
                (str(one.run_id) for one in found.points),
                column([one.weighted_score for one in found.points]),
                _measured(found),
                strict=True,
            ),
        )


_TITLES = {"cost_usd": "Cost (USD):", "duration_ms": "Duration:"}


def _measured(found: TradeOff) -> list[str]:
    values = [one.value for one in found.points]
    if found.measure == "cost_usd":
        return column(values)
    return list(map(duration, values))
