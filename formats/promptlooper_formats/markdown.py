"""The report as Markdown (CommonMark with the tables of GitHub)."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from promptlooper_export.plugin import (
    JSON,
    Bin,
    Difference,
    Format,
    Notice,
    RankedRun,
    Report,
    ScorerStatistics,
    timestamp,
)
from promptlooper_formats.markdown_text import escaped, fenced, table

_BARS = "\u00b7\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the title and a section for each part of the report."""
    experiment = report.experiment
    yield _paragraphs(
        f"# Experiment Report: {escaped(experiment.name)}",
        "\n".join(
            (
                f"- **Generated:** {timestamp(report.exported_at)}",
                f"- **Experiment ID:** {experiment.id}",
                f"- **Description:** {escaped(experiment.description or 'none')}",
                f"- **Status:** {escaped(experiment.status)}",
            )
        ),
    )
    for title, parts in (
        ("Configuration Space", _space(experiment.parameter_space)),
        ("Run Summary", _summary(report)),
        (f"Top {report.top_n} Configurations", _top(report)),
        ("Best Configuration Detail", _winner(report)),
        ("Score Distributions", _distributions(report)),
        ("Token Usage", _tokens(report)),
        ("Timing", _timing(report)),
        ("Cost", _cost(report)),
        ("Score Over Time", _history(report)),
        ("Warnings", _warnings(report)),
    ):
        body = list(parts)
        if body:
            yield _paragraphs(f"## {title}", *body)


def _paragraphs(*blocks: str) -> bytes:
    return "".join(f"{block}\n\n" for block in blocks).encode()


def _space(space: JSON) -> Iterator[str]:
    if not space:
        yield "No parameter space defined."
    elif isinstance(space, dict):
        yield table(
            ("Parameter", "Values"),
            ((escaped(name), escaped(_json(values))) for name, values in space.items()),
        )
    else:
        yield fenced(_json(space, indent=2), "json")


def _summary(report: Report) -> Iterator[str]:
    counts = report.counts
    rows = [
        ("total", counts.total),
        *counts.by_status.items(),
        ("scored", counts.scored),
    ]
    yield table(("Runs", "Count:"), ((escaped(name), f"{n:,}") for name, n in rows))


def _top(report: Report) -> Iterator[str]:
    if not report.top:
        yield "No scored runs available."
        return
    scorers = sorted({scorer for run in report.top for scorer in run.scores})
    extras = [
        (title, [_number(getattr(run, name)) for run in report.top])
        for title, name in _EXTRAS
        if any(getattr(run, name) is not None for run in report.top)
    ]
    yield table(
        (
            "Rank:",
            "Run",
            "Weighted score:",
            *(f"{escaped(scorer)}:" for scorer in scorers),
            *(title for title, _ in extras),
            "Config hash",
        ),
        (
            (
                str(run.rank),
                str(run.run_id),
                _number(run.weighted_score),
                *(_number(run.scores.get(scorer)) for scorer in scorers),
                *(cells[place] for _, cells in extras),
                escaped(run.config_hash),
            )
            for place, run in enumerate(report.top)
        ),
    )


_EXTRAS = (
    ("Tokens in:", "tokens_in"),
    ("Tokens out:", "tokens_out"),
    ("Duration (ms):", "duration_ms"),
    ("Cost (USD):", "cost_usd"),
)


def _winner(report: Report) -> Iterator[str]:
    if report.winner is None:
        yield "No scored runs available."
        return
    run = report.winner.run
    yield "\n".join(
        (
            f"- **Run ID:** {run.run_id}",
            f"- **Config hash:** {escaped(run.config_hash)}",
            f"- **Weighted score:** {_number(run.weighted_score)}",
        )
    )
    yield _scores(run)
    if report.winner.config is None:
        yield "Its stored config is not valid JSON, see Warnings."
    else:
        yield fenced(_json(report.winner.config, indent=2), "json")
    if report.differences is not None and report.differences.parameters:
        yield (
            "What it does differently, "
            f"among the {report.differences.compared} next best runs:"
        )
        yield table(
            ("Parameter", "Winner", "Runner-up", "Usual", "Share like the winner:"),
            map(_difference, report.differences.parameters),
        )


def _scores(run: RankedRun) -> str:
    return table(
        ("Scorer", "Score:"),
        ((escaped(scorer), _number(value)) for scorer, value in run.scores.items()),
    )


def _difference(found: Difference) -> tuple[str, ...]:
    values = (
        (found.winner, found.has_winner),
        (found.runner_up, found.has_runner_up),
        (found.usual, found.has_usual),
    )
    return (
        escaped(found.path),
        *(escaped(_json(value)) if there else "not set" for value, there in values),
        f"{found.share:.0%}",
    )


def _distributions(report: Report) -> Iterator[str]:
    if not report.scorers:
        yield "No scored runs available."
        return
    yield table(
        ("Scorer", "Direction", "Weight:", *(f"{t}:" for t, _ in _STATISTICS), "Shape"),
        map(_distribution, report.scorers),
    )
    yield "The shape counts runs from the lowest score on the left to the highest."


_STATISTICS = (
    ("Count", "count"),
    ("Min", "min"),
    ("Q1", "q1"),
    ("Median", "median"),
    ("Q3", "q3"),
    ("Max", "max"),
    ("Mean", "mean"),
    ("Standard deviation", "standard_deviation"),
)


def _distribution(scorer: ScorerStatistics) -> tuple[str, ...]:
    return (
        escaped(scorer.name),
        scorer.direction,
        _number(scorer.weight),
        *(_number(scorer.values.get(name)) for _, name in _STATISTICS),
        _shape(scorer.histogram),
    )


def _shape(histogram: tuple[Bin, ...]) -> str:
    return _bars([bar.count for bar in histogram], low=0)


def _bars(values: Sequence[float], low: float | None = None) -> str:
    """Draw values as bars between `low` (or their lowest) and their highest."""
    low = min(values) if low is None else low
    reach = (max(values) - low) or 1
    return "".join(
        _BARS[math.ceil((value - low) / reach * (len(_BARS) - 1))] for value in values
    )


def _tokens(report: Report) -> Iterator[str]:
    tokens = report.tokens
    rows = (
        ("in", tokens.tokens_in),
        ("out", tokens.tokens_out),
        ("total", tokens.total),
    )
    yield table(("Tokens", "Count:"), ((name, f"{n:,}") for name, n in rows))


def _timing(report: Report) -> Iterator[str]:
    timing = report.timing
    if timing is None:
        yield "No timing data available."
        return
    yield table(
        ("Duration", "Time:"),
        (
            ("fastest", _duration(timing.fastest)),
            ("average", _duration(timing.average)),
            ("median", _duration(timing.median)),
            ("95th percentile", _duration(timing.p95)),
            ("slowest", _duration(timing.slowest)),
            ("total", _duration(timing.total)),
        ),
    )


def _cost(report: Report) -> Iterator[str]:
    if report.cost is not None:
        cost = report.cost
        yield table(
            ("Cost", "USD:"),
            (
                ("total", _number(cost.total)),
                (f"average of {cost.count:,} runs", _number(cost.average)),
            ),
        )


def _history(report: Report) -> Iterator[str]:
    if len(report.history) < 2:  # noqa: PLR2004  one period has no course
        return
    first, last = report.history[0].start, report.history[-1].end
    yield (
        f"Mean score from {_moment(first)} to {_moment(last)}: "
        f"{_bars([period.mean for period in report.history])}"
    )
    records = [period for period in report.history if period.best == period.best_so_far]
    yield table(
        ("New best from", "Best:", "Mean:", "Runs:"),
        (
            (
                _moment(period.start),
                _number(period.best),
                _number(period.mean),
                f"{period.count:,}",
            )
            for period in records
        ),
    )


def _moment(moment: datetime) -> str:
    return timestamp(moment.replace(microsecond=0))


def _warnings(report: Report) -> Iterator[str]:
    if report.warnings:
        yield "\n".join(f"- {escaped(notice.message)}" for notice in report.warnings)


def _json(value: JSON | Mapping[str, JSON], indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # A lone surrogate has no form in UTF-8, but one as an escape.
    return text.encode("utf-8", "backslashreplace").decode()


def _number(value: float | None) -> str:
    """Write a number for people: whole ones with separators, others to 6 digits."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:  # noqa: PLR2004  exact in a double
        return f"{int(value):,}"
    return f"{value:.6g}"


def _duration(milliseconds: float) -> str:
    """Write a duration in the unit that suits its length."""
    if milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds:.0f} ms"
    minutes, seconds = divmod(milliseconds / 1000, 60)
    if not minutes:
        return f"{seconds:.2f} s"
    hours, minutes = divmod(int(minutes), 60)
    return (
        f"{hours} h {minutes} min {seconds:.0f} s"
        if hours
        else f"{minutes} min {seconds:.0f} s"
    )


MARKDOWN = Format(
    name="markdown",
    title="Markdown report",
    document=Report,
    media_types=("text/markdown",),
    extension="md",
    render=render,
)
