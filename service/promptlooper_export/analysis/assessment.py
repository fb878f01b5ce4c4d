"""Is the winner one? Its config against the runner-up, a baseline or any other."""

import math
from collections.abc import Mapping
from statistics import fmean

from promptlooper_export.analysis.contrast import interval, needed
from promptlooper_export.analysis.evidence import LEADERS, Evidence, Sample
from promptlooper_export.analysis.verdict import (
    LEVEL,
    MARGIN,
    Outcome,
    judge,
    judge_runner_up,
    mean_score,
)
from promptlooper_export.verdicts import (
    Against,
    Assessment,
    ByCase,
    CaseScores,
    ConfigScore,
    Verdict,
)

_DIGITS = 12
"""Significant digits: databases that add in another order differ beyond them."""

_CASES = 30
"""How many cases of a comparison are listed."""

_NAMES: Mapping[Against, str] = {
    "runner-up": "the runner-up",
    "baseline": "the baseline",
    "experiment": "the other experiment's winner",
}
"""What the summaries call the other config."""


def assess(
    evidence: Evidence,
    *,
    margin: float = MARGIN,
) -> Assessment:
    """Judge the winner's config against the runner-up, and the one asked for."""
    best = evidence.samples[evidence.winner]
    ranked = sorted(
        evidence.samples.values(), key=lambda one: (-mean_score(one), one.key)
    )
    verdicts = []
    if others := [one for one in ranked if one is not best]:
        outcome = judge_runner_up(
            best, others[0], configs=evidence.configs, margin=margin
        )
        verdicts.append(
            verdict("runner-up", best, others[0], outcome, luck=luck(evidence))
        )
    if evidence.asked is not None:
        # The baseline was there before; the winner is the best of all others.
        comparisons = evidence.configs - 1
        base = evidence.samples[evidence.asked]
        outcome = (
            Outcome(word="tied", margin=margin)
            if base is best
            else judge(best, base, margin=margin, comparisons=comparisons)
        )
        verdicts.append(verdict("baseline", best, base, outcome, luck=luck(evidence)))
    return Assessment(
        configs=evidence.configs,
        runs=evidence.runs,
        margin=margin,
        winner=config_score(best),
        shrunk=_shrunk(evidence, best),
        verdicts=tuple(verdicts),
        leaders=tuple(map(config_score, ranked[:LEADERS])),
    )


def config_score(sample: Sample) -> ConfigScore:
    """Return a config's mean score, and its interval by cases, else by runs."""
    values = tuple(sample.cases.values()) or sample.runs
    found = interval(values, alpha=LEVEL)
    return ConfigScore(
        config_hash=sample.config_hash,
        run_id=sample.run_id,
        runs=len(sample.runs),
        cases=len(sample.cases),
        mean=_rounded(mean_score(sample)),
        low=found and _rounded(found[0]),
        high=found and _rounded(found[1]),
    )


def _shrunk(evidence: Evidence, winner: Sample) -> float | None:
    """Return the winner's mean score, shrunk towards the mean of all configs.

    By as much as luck explains of the configs' spread (Efron and Morris, Data analysis
    using Stein's estimator, JASA 70, 1975): not at all if luck explains nothing, wholly
    if it explains everything. None for three configs or fewer, or without an error.
    """
    error = _squared_error(evidence, winner)
    if error is None or evidence.configs <= 3 or not evidence.variance:  # noqa: PLR2004
        return None
    share = (evidence.configs - 3) / (evidence.configs - 1) * error / evidence.variance
    distance = mean_score(winner) - evidence.mean
    return _rounded(evidence.mean + max(0.0, 1 - share) * distance)


def _squared_error(evidence: Evidence, winner: Sample) -> float | None:
    """Return the squared standard error of the winner's mean score.

    From what is left of the scores of cases that all leaders judged, after the means of
    configs and of cases are taken off; else from the spread of repeated runs.
    """
    leaders = [one for one in evidence.samples.values() if one.cases]
    common = sorted(
        frozenset.intersection(*(frozenset(one.cases) for one in leaders))
        if leaders
        else ()
    )
    freedom = (len(leaders) - 1) * (len(common) - 1)
    if winner.cases and freedom > 0:
        rows = [[one.cases[case] for case in common] for one in leaders]
        of_cases = [fmean(column) for column in zip(*rows, strict=True)]
        overall = fmean(of_cases)
        squares = math.fsum(
            (value - of_case - fmean(row) + overall) ** 2
            for row in rows
            for value, of_case in zip(row, of_cases, strict=True)
        )
        return squares / freedom / len(winner.cases)
    if evidence.within is None:
        return None
    return evidence.within / len(winner.runs)


def luck(evidence: Evidence) -> float:
    """Return the most that luck could be: the variance of a config's runs.

    Without repeats, that is the configs' own.
    """
    return evidence.variance if evidence.within is None else evidence.within


def verdict(
    against: Against, winner: Sample, other: Sample, found: Outcome, *, luck: float
) -> Verdict:
    """Write down what was found; `luck` is the variance of the runs of a config."""
    contrast, more = found.contrast, found.needed
    difference = mean_score(winner) - mean_score(other)
    if contrast is None and found.word == "not enough data":
        spread = math.sqrt(2 * luck)
        more = needed(difference, spread, alpha=LEVEL, margin=found.margin)
    return Verdict(
        against=against,
        other=config_score(other),
        verdict=found.word,
        method=contrast.method if contrast else None,
        difference=_rounded(contrast.difference if contrast else difference),
        low=_rounded(contrast.low) if contrast else None,
        high=_rounded(contrast.high) if contrast else None,
        confidence=_rounded(1 - contrast.alpha) if contrast else None,
        p=_rounded(contrast.p) if contrast else None,
        counts=contrast.counts if contrast else (),
        needed=more,
        by_case=_by_case(winner, other),
        summary=_summary(against, found, difference, more),
    )


def _by_case(winner: Sample, other: Sample) -> ByCase | None:
    """Compare the scores of each case that both judged, None if there is none."""
    common = winner.cases.keys() & other.cases.keys()
    if winner is other or not common:
        return None
    rows = [
        CaseScores(
            case_id=case,
            winner=_rounded(winner.cases[case]),
            other=_rounded(other.cases[case]),
        )
        for case in sorted(common)
    ]
    rows.sort(key=lambda row: -abs(row.winner - row.other))
    return ByCase(
        wins=sum(row.winner > row.other for row in rows),
        ties=sum(row.winner == row.other for row in rows),
        losses=sum(row.winner < row.other for row in rows),
        cases=tuple(rows[:_CASES]),
        further=len(rows[_CASES:]),
    )


def _summary(
    against: Against, found: Outcome, difference: float, more: int | None
) -> str:
    contrast = found.contrast
    other = _NAMES[against]
    if contrast is None:
        if found.word == "tied":
            return f"The winner has the same config as {other}."
        by = f"It is {abs(difference):.4f} {'ahead' if difference >= 0 else 'behind'}"
        return (
            f"Not enough data to tell the winner from {other}. {by}, but nothing says "
            f"how much of that is luck: {_advice(more, 'runs of each config')}"
        )
    sure = f"{100 * (1 - contrast.alpha):.4g}%"
    interval_ = f"{sure} interval {contrast.low:+.4f} to {contrast.high:+.4f}"
    kind = "cases" if contrast.method == "paired by case" else "runs"
    data = f"{interval_}, {' and '.join(map(str, contrast.counts))} {kind}"
    size = abs(contrast.difference)
    match found.word:
        case "tied":
            return (
                f"The winner and {other} are tied: they differ by {size:.4f} ({data}), "
                f"certainly not by more than {found.margin:g}."
            )
        case "not enough data":
            what = "cases" if kind == "cases" else "runs of each config"
            return (
                f"Not enough data to tell the winner from {other}: they differ by "
                f"{size:.4f} ({data}); {_advice(more, what)}"
            )
        case word:
            return f"The winner is {word} than {other} by {size:.4f} ({data})."


def _advice(more: int | None, what: str) -> str:
    if more is None:
        return "judge the same cases with each config, or repeat its runs."
    return f"about {more:,} {what} would probably settle it."


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
