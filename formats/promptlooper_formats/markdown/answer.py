"""The first lines of the report: which config won, and whether to deploy it."""

from collections.abc import Callable, Iterator

from promptlooper_export.plugin import Assessment, Notice, Report, timestamp
from promptlooper_formats.markdown.text import escaped, fenced, short_code, table
from promptlooper_formats.markdown.winner import diffs
from promptlooper_formats.shared import sentences
from promptlooper_formats.shared.quantities import (
    counted,
    duration,
    listed,
    number,
    signed,
)
from promptlooper_formats.shared.selection import deviating_texts


def headline(report: Report, write: Callable[[str], str]) -> str:
    """Return the title and the verdict; `write` escapes names, and may cut them."""
    name = write(report.experiment.name)
    lines = [f"- **{label}:** {text}" for label, text in _verdict(report, write)]
    return "\n".join((f"# Experiment Report: {name}", "", *lines))


def _verdict(report: Report, write: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    if report.winner is None:
        yield "Winner", "none yet: no completed run has a score that counts"
    else:
        run = report.winner.run
        id_ = f"run `{run.run_id.hex[:8]}`"
        yield "Winner", id_ if run.name is None else f"{write(run.name)}, {id_}"
        yield "Score", f"{number(run.weighted_score)}{_evidence(report.assessment)}"
    verdict = sentences.runner_up_verdict(report)
    ahead = sentences.margin(report)
    if verdict is not None:
        interval = _interval(verdict.low, verdict.high)
        word = sentences.VERDICTS[verdict.verdict]
        yield "Against the runner-up", f"{word}, {signed(verdict.difference)}{interval}"
    elif ahead is not None:
        yield "Ahead of the next run", number(ahead)
    coming = sentences.to_come(report.counts)
    if coming:
        yield "Still running", f"{counted(coming, 'run')} to come"


def _evidence(found: Assessment | None) -> str:
    if found is None:
        return ""
    config = found.winner
    if config.low is None:
        return " (a single run: nothing says how much of it is luck)"
    over = (
        counted(config.cases, "case") if config.cases else counted(config.runs, "run")
    )
    return (
        f" (its config: mean {number(config.mean)}, 95 % interval "
        f"{number(config.low)} to {number(config.high)}, {over})"
    )


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f", interval {signed(low)} to {signed(high)}"


def advice(report: Report) -> Iterator[str]:
    """Yield whether the winner may be deployed."""
    yield f"**May I deploy it?** {escaped(sentences.advice(report))}"


def evidence(report: Report) -> Iterator[str]:
    """Yield what the data say about the winner, in sentences."""
    found = report.assessment
    if found is not None:
        for verdict in found.verdicts:
            yield escaped(verdict.summary)
        if found.shrunk is not None and report.winner:
            yield f"{sentences.luck(found)} {number(found.shrunk)}."
    cheaper = sentences.cheaper(report)
    if cheaper:
        yield cheaper


def usage(report: Report) -> Iterator[str]:
    """Yield how many runs there are, what they cost and how long they take."""
    counts = report.counts
    if not counts.total:
        return
    by_status = listed(
        (f"{count:,} {status}" for status, count in counts.by_status.items()), most=12
    )
    runs = counted(counts.total, "run")
    found = [f"{runs}: {escaped(by_status)}." if by_status else f"{runs}."]
    run = report.winner.run if report.winner else None
    if report.cost is not None:
        own = run.cost_usd if run else None
        whose = (
            f"of {counted(report.cost.count, 'run')}"
            if own is None
            else f"the winner's run {number(own)} USD"
        )
        found.append(f"Cost of all runs: {number(report.cost.total)} USD, {whose}.")
    if report.timing is not None:
        took = run.duration_ms if run else None
        whose = (
            f"95 % are within {duration(report.timing.p95)}"
            if took is None
            else f"the winner's run {duration(took)}"
        )
        found.append(f"Median duration: {duration(report.timing.median)}, {whose}.")
    yield " ".join(found)


def about(report: Report) -> Iterator[str]:
    """Yield when the report was made, and of what."""
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


def warnings(report: Report) -> Iterator[str]:
    """Yield what to read the report with care for."""
    if report.warnings:
        yield "\n".join(map(_warning, report.warnings))


def _warning(notice: Notice) -> str:
    where = f" at {escaped(notice.path)}" if notice.path else ""
    return f"- **{escaped(notice.code)}**{where}: {escaped(notice.message)}"


def against(report: Report) -> Iterator[str]:
    """Yield how the winner compares with that of another experiment."""
    other = report.against
    if other is None:
        return
    yield f"Against {escaped(other.experiment_name)}: {escaped(other.summary)}"
    deviations = sentences.told_apart(report, other.deviations)
    if deviations:
        yield "What changed in the winning config:"
        yield table(
            ("Parameter", "This winner", "The other's"),
            (
                (
                    escaped(one.path),
                    short_code(one.winner) if one.has_winner else "not set",
                    short_code(one.other) if one.has_other else "not set",
                )
                for one in deviations
            ),
        )
    if other.further:
        yield f"{counted(other.further, 'further difference')}."
    yield from diffs(deviating_texts(deviations))
    if other.tags:
        yield "The verdict by tag:"
        yield table(
            ("Tag", "Verdict", "Difference:", "Interval:", "Runs:"),
            (
                (
                    escaped(str(one.tag)),
                    sentences.VERDICTS[one.verdict.verdict],
                    signed(one.verdict.difference),
                    _interval(one.verdict.low, one.verdict.high).removeprefix(
                        ", interval "
                    ),
                    " and ".join(f"{runs:,}" for runs in one.runs),
                )
                for one in other.tags
            ),
        )
    if other.further_tags:
        yield f"{counted(other.further_tags, 'further tag')}."
