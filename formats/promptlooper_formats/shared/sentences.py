"""What a report says in sentences: the same in each of its forms."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from promptlooper_export.plugin import (
    JSON,
    Assessment,
    Deviation,
    Parameters,
    Period,
    Report,
    Rival,
    RunCounts,
    ScorerCoverage,
    TradeOff,
    Verdict,
)
from promptlooper_formats.shared.quantities import (
    counted,
    listed,
    number,
    percent,
    weight,
)

VERDICTS: Mapping[str, str] = {
    "better": "Better",
    "worse": "Worse",
    "tied": "Tied",
    "not enough data": "Not enough data",
}

LEFT_OUT: Mapping[str, str] = {
    "constant": "all runs have the same value",
    "unique": "each run has its own",
    "not enough data": "too few runs of each value",
}
"""Why nothing can be said about a parameter."""

RETRIES: Mapping[str, str] = {
    "yes": "may help",
    "no": "will not help",
    "unknown": "unknown",
}
"""Whether trying a failed run again may help."""

_SEEDS = frozenset({"seed", "random_seed", "random_state", "rng_seed"})


def runner_up_verdict(report: Report) -> Verdict | None:
    """Return the verdict against the runner-up, None if there is no other config."""
    if report.assessment is None:
        return None
    found = (one for one in report.assessment.verdicts if one.against == "runner-up")
    return next(found, None)


def runner_up(report: Report) -> Rival | None:
    """Return the next best config; None if no other can be compared.

    The one that the verdict is about, if it is among the next best runs.
    """
    verdict = runner_up_verdict(report)
    wanted = verdict.other.run_id if verdict else None
    return next(
        (one for one in report.rivals if one.run_id == wanted),
        report.rivals[0] if report.rivals else None,
    )


def margin(report: Report) -> float | None:
    """Return how far the winning run is ahead of the next one, None for a single run.

    In an election of configs the next one may have a higher score of its own; then
    None, since it is not behind.
    """
    scores = [run.weighted_score for run in report.top[:2]]
    if len(scores) < 2:  # noqa: PLR2004
        return None
    ahead = scores[0] - scores[1]
    return ahead if ahead >= 0 else None


def to_come(counts: RunCounts) -> int:
    """Return how many runs are not over yet."""
    return sum(counts.by_status.get(status, 0) for status in ("pending", "running"))


def advice(report: Report) -> str:
    """Answer whether the winner may be deployed now, in a sentence or two."""
    coming = to_come(report.counts)
    if report.winner is None:
        if coming:
            return f"Nothing to deploy yet: {counted(coming, 'run')} to come."
        return "Nothing to deploy: no completed run has a score that counts."
    verdict = runner_up_verdict(report)
    wait = (
        f" {counted(coming, 'run is', 'runs are')} still to come and may change it."
        if coming
        else ""
    )
    if verdict is None:
        return f"It is the only config with a score: there is nothing to compare.{wait}"
    return _ADVICE[verdict.verdict] + wait


_ADVICE: Mapping[str, str] = {
    "better": "Yes: the data show that it is better than the runner-up.",
    "worse": (
        "Look at the runner-up first: over all its runs and cases it is better, and "
        "this run was lucky. by=config elects by the mean of all runs."
    ),
    "tied": (
        "It is as good as the runner-up: deploy the one that is cheaper or faster."
    ),
    "not enough data": (
        "It is the best so far, and the data do not show yet that it beats the "
        "runner-up: deploying it risks little more than deploying that."
    ),
}


def luck(found: Assessment) -> str:
    """Say why the winner's score is too good; what is probably right comes next."""
    return (
        f"{counted(found.configs, 'config')} were tried, and the best of many owes "
        "some of its score to luck: without it, the winner's config probably scores"
    )


def still_running(report: Report) -> str:
    """Say how many runs are to come, or nothing if none is."""
    coming = to_come(report.counts)
    return f"Still running: {counted(coming, 'run')} to come." if coming else ""


def chosen(report: Report) -> str:
    """Say how the winner was chosen: from which runs, by which score."""
    weights = [one for one in report.scorers if one.weight]
    lower = {one.name for one in report.scorers if one.direction == "minimize"}
    required = [one.name for one in report.scorers if one.required]

    def named(name: str) -> str:
        return f"{name} (lower is better)" if name in lower else name

    if weights:
        sums = listed(
            (f"{named(one.name)} \u00d7 {weight(one.weight)}" for one in weights),
            most=12,
        )
        score = f"the weighted mean of its scores: {sums}"
    else:
        names = listed((named(one.name) for one in report.scorers), most=12)
        score = f"the mean of its scores{names and f': {names}'}"
    needs = f" and a score by {listed(required, most=12)}" if required else ""
    return (
        f"{report.counts.scored:,} of {counted(report.counts.total, 'run')} can win: "
        f"those that are completed and have a finite score{needs}. A run is ranked by "
        f"{score}. The highest wins; of equal ones, the oldest."
    )


def tells_runs_apart(report: Report, path: str) -> bool:
    """Return whether a parameter is a seed or the like, which no one would set."""
    if path.rpartition(".")[2].lower() in _SEEDS:
        return True
    left_out = report.parameters.left_out if report.parameters else ()
    return any(one.path == path and one.reason == "unique" for one in left_out)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A parameter in which the winner differs from the runner-up or from the usual.

    A value that a config lacks is None, and its `has_` flag False. `share` is the
    fraction of the next best runs that agree with the winner; None if most do.
    """

    path: str
    winner: JSON
    has_winner: bool
    runner_up: JSON
    has_runner_up: bool
    usual: JSON
    has_usual: bool
    share: float | None


def contrasts(report: Report) -> tuple[list[Contrast], list[str]]:
    """Return what the winner does differently, and the seeds that were left out.

    The runner-up is the next best config, not a repeat of the winner's.
    """
    found = list(_contrasts(report))
    kept = [one for one in found if not tells_runs_apart(report, one.path)]
    return kept, [one.path for one in found if tells_runs_apart(report, one.path)]


def _contrasts(report: Report) -> Iterator[Contrast]:
    rival = runner_up(report)
    others = {one.path: one for one in rival.deviations} if rival else {}
    known = report.differences.parameters if report.differences else ()
    for one in known:
        contrast = Contrast(**vars(one))
        if other := others.pop(one.path, None):
            contrast = replace(
                contrast, runner_up=other.other, has_runner_up=other.has_other
            )
        elif rival:  # which agrees with the winner, whatever the next run does
            contrast = replace(
                contrast, runner_up=one.winner, has_runner_up=one.has_winner
            )
        yield contrast
    for path, other in others.items():
        yield Contrast(
            path=path,
            winner=other.winner,
            has_winner=other.has_winner,
            runner_up=other.other,
            has_runner_up=other.has_other,
            usual=other.winner,
            has_usual=other.has_winner,
            share=None,
        )


def told_apart(report: Report, found: Sequence[Deviation]) -> list[Deviation]:
    """Return in what another config differs, without seeds."""
    return [one for one in found if not tells_runs_apart(report, one.path)]


def history(report: Report) -> str:
    """Say how the best score came about."""
    periods = report.history
    first, last = periods[0].best_so_far, periods[-1].best_so_far
    over = sum(one.count for one in periods)
    if first == last:
        return (
            f"The best score, {number(last)}, was there from the beginning; "
            f"{counted(over, 'run')} in {counted(len(periods), 'period')}."
        )
    steps = counted(len(rises(periods)) - 1, "step")
    return (
        f"The best score rose from {number(first)} to {number(last)} in {steps} over "
        f"{counted(over, 'run')}."
    )


def rises(periods: Sequence[Period]) -> list[Period]:
    """Return the first period, and each that has a better score than all before."""
    better = (
        after
        for before, after in pairwise(periods)
        if after.best_so_far > before.best_so_far
    )
    return [periods[0], *better]


def distribution(report: Report) -> str:
    """Say where the winner stands among all scores."""
    found = report.distribution
    if found is None:
        return ""
    values = found.values
    middle = (
        f"Half of the {counted(int(values['count']), 'run')} score between "
        f"{number(values['q1'])} and {number(values['q3'])}, the median is "
        f"{number(values['median'])}"
    )
    deviation = values.get("standard_deviation")
    if report.winner is None or not deviation:
        return f"{middle}."
    above = (report.winner.run.weighted_score - values["mean"]) / deviation
    return f"{middle}; the winner is {above:.1f} standard deviations above the mean."


def by_case(verdict: Verdict) -> str:
    """Say who won how many of the cases that both judged."""
    found = verdict.by_case
    if found is None:
        return ""
    total = found.wins + found.ties + found.losses
    return (
        f"Of {counted(total, 'case')} that both judged, the winner is ahead on "
        f"{found.wins:,}, behind on {found.losses:,} and equal on {found.ties:,}."
    )


def parameters(found: Parameters) -> str:
    """Say which parameter goes with the scores most."""
    over = counted(found.runs, "run")
    if found.used < found.runs:
        over = f"{found.used:,} of {over}"
    if not found.parameters:
        return f"No parameter could be compared over {over}."
    first = found.parameters[0]
    sure = "" if first.p <= 0.05 else ", which luck alone may well do"  # noqa: PLR2004
    most = ", more than any other parameter" if len(found.parameters) > 1 else ""
    return (
        f"{first.path} goes with {percent(first.share)} of the variance of scores{most}"
        f"{sure}; over {over}. What goes with high scores need not cause them."
    )


_MEASURES = {"cost_usd": "cost", "duration_ms": "duration"}


def front(found: TradeOff) -> str:
    """Say how many runs no other one beats on score and a measure."""
    measure = _MEASURES[found.measure]
    shown = len(found.points)
    priced = found.runs - found.without
    listed_ = "" if shown == found.count else f", {shown:,} of which are listed"
    missing = (
        f" {counted(found.without, 'run')} without a {measure} left out."
        if found.without
        else ""
    )
    return (
        f"{found.count:,} of {counted(priced, 'run')} are not beaten by any other on "
        f"both score and {measure}{listed_}.{missing}"
    )


def front_chart(found: TradeOff) -> str:
    """Say what a chart of the runs on a front shows besides."""
    if len(found.others) < found.runs - found.without:
        sample = counted(len(found.others), "run")
        return f"The line joins them; the others are a sample of {sample}."
    return "The line joins them."


def gaps(coverage: Sequence[ScorerCoverage]) -> list[ScorerCoverage]:
    """Return the scorers that did not judge every completed run."""
    return [one for one in coverage if one.missing or one.nulls or one.not_finite]


def redactions(report: Report) -> str:
    """Say which values were hidden because they look like secrets."""
    found = [one for one in report.warnings if one.code == "redacted"]
    if not found:
        return "nothing"
    return listed((one.path or one.message for one in found), most=12)


def cheaper(report: Report) -> str:
    """Compare what the winner and the runner-up cost and took, if it is known."""
    found = list(_ratios(report))
    return f"The runner-up {' and '.join(found)}." if found else ""


def _ratios(report: Report) -> Iterator[str]:
    rival = runner_up(report)
    second = next((run for run in report.top if rival and run.rank == rival.rank), None)
    if second is None:
        return
    first = report.top[0]
    if first.cost_usd and second.cost_usd is not None:
        yield f"costs {_ratio(second.cost_usd / first.cost_usd)}as much as the winner"
    if first.duration_ms and second.duration_ms is not None:
        yield f"takes {_ratio(second.duration_ms / first.duration_ms)}as long"


def _ratio(ratio: float) -> str:
    if ratio >= 2:  # noqa: PLR2004  percentages above are hard to read
        return f"{ratio:,.1f} times "
    share = percent(round(ratio, 2) or ratio)
    return "" if share == "100 %" else f"{share} "
