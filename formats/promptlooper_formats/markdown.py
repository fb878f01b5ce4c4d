"""The report as Markdown (CommonMark with the tables of GitHub)."""

from collections.abc import Iterator
from datetime import datetime

from promptlooper_export.plugin import (
    JSON,
    Difference,
    Format,
    Notice,
    Period,
    Report,
    ScorerStatistics,
    timestamp,
)
from promptlooper_formats.shared.markdown_findings import (
    coverage,
    failures,
    parameters,
    sensitivity,
    trade_offs,
)
from promptlooper_formats.shared.markdown_text import (
    bars,
    code,
    duration,
    escaped,
    fenced,
    fenced_json,
    number,
    table,
)

_NOTHING_SCORED = "No scored runs available."


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the title and a section for each part of the report."""
    name = escaped(report.experiment.name)
    yield _paragraphs(f"# Experiment Report: {name}", *_about(report))
    for title, parts in (
        ("Configuration Space", _space(report.experiment.parameter_space)),
        ("Run Summary", _summary(report)),
        (f"Top {report.top_n} Configurations", _top(report)),
        ("Best Configuration Detail", _winner(report)),
        ("Score Distributions", _distributions(report)),
        ("Why It Won", parameters(report)),
        ("Weights That Would Change It", sensitivity(report)),
        ("Trade-offs", trade_offs(report)),
        ("Missing Scores", coverage(report)),
        ("Failures", failures(report)),
        ("Token Usage", _tokens(report)),
        ("Timing", _timing(report)),
        ("Cost", _cost(report)),
        ("Score Over Time", _history(report)),
        ("Warnings", _warnings(report)),
    ):
        blocks = list(parts)
        if blocks:
            yield _paragraphs("", f"## {title}", *blocks)


def _paragraphs(*blocks: str) -> bytes:
    return ("\n\n".join(blocks).removeprefix("\n") + "\n").encode()


def _about(report: Report) -> Iterator[str]:
    experiment = report.experiment
    description = experiment.description or ""
    # A line break would end the item of the list.
    is_long = any(end in description for end in "\r\n")
    shown = "see below" if is_long else escaped(description) or "none"
    yield "\n".join(
        (
            f"- **Generated:** {timestamp(report.exported_at)}",
            f"- **Experiment ID:** {experiment.id}",
            f"- **Description:** {shown}",
            f"- **Status:** {escaped(experiment.status)}",
        )
    )
    if is_long:
        yield fenced(description, "text")


def _space(space: JSON) -> Iterator[str]:
    if not space:
        yield "No parameter space defined."
    elif isinstance(space, dict):
        yield table(
            ("Parameter", "Values"),
            ((escaped(name), code(values)) for name, values in space.items()),
        )
    else:
        yield fenced_json(space)


def _summary(report: Report) -> Iterator[str]:
    counts = report.counts
    yield table(
        ("Runs", "Count:"),
        (
            ("total", number(counts.total)),
            *((escaped(status), number(n)) for status, n in counts.by_status.items()),
            ("scored", number(counts.scored)),
        ),
    )


def _top(report: Report) -> Iterator[str]:
    runs = report.top
    if not runs:
        yield _NOTHING_SCORED
        return
    scorers = sorted({scorer for run in runs for scorer in run.scores})
    known = (
        ("Tokens in:", [number(run.tokens_in) for run in runs]),
        ("Tokens out:", [number(run.tokens_out) for run in runs]),
        ("Duration:", [duration(run.duration_ms) for run in runs]),
        ("Cost (USD):", [number(run.cost_usd) for run in runs]),
    )
    columns = (
        ("Rank:", [number(run.rank) for run in runs]),
        ("Run", [str(run.run_id) for run in runs]),
        ("Weighted score:", [number(run.weighted_score) for run in runs]),
        *(
            (f"{escaped(scorer)}:", [number(run.scores.get(scorer)) for run in runs])
            for scorer in scorers
        ),
        *((title, cells) for title, cells in known if any(cells)),
        ("Config hash", [escaped(run.config_hash) for run in runs]),
    )
    yield table(
        [title for title, _ in columns],
        zip(*(cells for _, cells in columns), strict=True),
    )


def _winner(report: Report) -> Iterator[str]:
    if report.winner is None:
        yield _NOTHING_SCORED
        yield from _against(report)
        return
    run = report.winner.run
    yield "\n".join(
        (
            f"- **Run ID:** {run.run_id}",
            f"- **Config hash:** {escaped(run.config_hash)}",
            f"- **Weighted score:** {number(run.weighted_score)}",
        )
    )
    if report.assessment is not None:
        yield from (verdict.summary for verdict in report.assessment.verdicts)
    yield from _against(report)
    yield table(
        ("Scorer", "Score:"),
        ((escaped(scorer), number(value)) for scorer, value in run.scores.items()),
    )
    if report.winner.config is None:
        yield "Its stored config is not valid JSON, see Warnings."
    else:
        yield fenced_json(report.winner.config)
    yield from _differences(report)


def _against(report: Report) -> Iterator[str]:
    if report.against is not None:
        name = escaped(report.against.experiment_name)
        yield f"Against {name}: {report.against.summary}"


def _differences(report: Report) -> Iterator[str]:
    found = report.differences
    if found is None or not found.compared:
        return
    others = f"the next best runs ({number(found.compared)})"
    if not found.parameters:
        yield f"Its parameters are those of {others}."
        return
    yield f"What it does differently from {others}:"
    yield table(
        ("Parameter", "Winner", "Runner-up", "Usual", "Agree with winner:"),
        map(_difference, found.parameters),
    )


def _difference(found: Difference) -> tuple[str, ...]:
    return (
        escaped(found.path),
        code(found.winner) if found.has_winner else "not set",
        code(found.runner_up) if found.has_runner_up else "not set",
        code(found.usual) if found.has_usual else "not set",
        f"{found.share:.0%}",
    )


_ORDER = ("count", "min", "q1", "median", "q3", "max", "mean", "standard_deviation")


def _distributions(report: Report) -> Iterator[str]:
    if not report.scorers:
        yield _NOTHING_SCORED
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
        number(scorer.weight),
        *(number(scorer.values.get(name)) for name in names),
        bars(bar.count / highest for bar in scorer.histogram),
    )


def _tokens(report: Report) -> Iterator[str]:
    tokens = report.tokens
    yield table(
        ("Tokens", "Count:"),
        (
            ("in", number(tokens.tokens_in)),
            ("out", number(tokens.tokens_out)),
            ("total", number(tokens.total)),
        ),
    )


def _timing(report: Report) -> Iterator[str]:
    timing = report.timing
    if timing is None:
        yield "No timing data available."
        return
    yield table(
        (f"Completed runs: {number(timing.count)}", "Duration:"),
        (
            ("fastest", duration(timing.fastest)),
            ("average", duration(timing.average)),
            ("median", duration(timing.median)),
            ("95th percentile", duration(timing.p95)),
            ("slowest", duration(timing.slowest)),
            ("total", duration(timing.total)),
        ),
    )


def _cost(report: Report) -> Iterator[str]:
    cost = report.cost
    if cost is not None:
        yield table(
            (f"Runs with a cost: {number(cost.count)}", "USD:"),
            (("average", number(cost.average)), ("total", number(cost.total))),
        )


def _history(report: Report) -> Iterator[str]:
    periods = report.history
    if len(periods) < 2:  # noqa: PLR2004  one period has no course
        return
    first, last = _moment(periods[0].start), _moment(periods[-1].end)
    yield f"Mean weighted score from {first} to {last}: {_course(periods)}"
    # One longer than the periods: nothing comes after the last one.
    previous = (None, *(period.best_so_far for period in periods))
    yield table(
        ("New best after", "Best:", "Mean:", "Runs:"),
        (
            (
                _moment(period.start),
                number(period.best),
                number(period.mean),
                number(period.count),
            )
            for period, before in zip(periods, previous, strict=False)
            if before is None or period.best_so_far > before
        ),
    )


def _course(periods: tuple[Period, ...]) -> str:
    """Draw the means from an eighth, the lowest, to the full height."""
    means = [period.mean for period in periods]
    low = min(means)
    reach = (max(means) - low) or 1
    # The lowest mean gets an eighth, since a dot means nothing at all.
    return bars((1 + 7 * (mean - low) / reach) / 8 for mean in means)


def _moment(moment: datetime) -> str:
    return timestamp(moment.replace(microsecond=0))


def _warnings(report: Report) -> Iterator[str]:
    if report.warnings:
        yield "\n".join(map(_warning, report.warnings))


def _warning(notice: Notice) -> str:
    where = f" at {escaped(notice.path)}" if notice.path else ""
    return f"- **{escaped(notice.code)}**{where}: {escaped(notice.message)}"


MARKDOWN = Format(
    name="markdown",
    title="Markdown report",
    document=Report,
    media_types=("text/markdown",),
    extension="md",
    render=render,
)
