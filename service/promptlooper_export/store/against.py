"""Compare an experiment's winner with that of another experiment."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.analysis.assessment import config_score
from promptlooper_export.analysis.evidence import Evidence
from promptlooper_export.analysis.experiments import (
    compare_tags,
    compare_winners,
    listed,
    spread,
)
from promptlooper_export.comparison import DEVIATIONS, deviations, is_equal
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.findings import Deviation
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.ranking import Ranking, ScoreReader
from promptlooper_export.store.tags import common_tags, read_tagged, read_tags
from promptlooper_export.verdicts import (
    Differing,
    ExperimentComparison,
    TagVerdict,
    Verdict,
)

_TAGS = 20

_CONFIG = "SELECT config FROM {runs} AS run WHERE id = ?"


@dataclass(frozen=True, kw_only=True)
class Opponent:
    """Another experiment to compare with.

    With `force`, also if its scores mean something else.
    """

    experiment: UUID
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two experiments that are compared."""

    row: ExperimentRow
    ranking: Ranking
    evidence: Evidence | None
    reader: ScoreReader


def compare(
    first: Side, second: Side, *, margin: float, force: bool
) -> ExperimentComparison:
    """Compare the winners, unless the experiments differ in what scores mean.

    With `force`, compare them anyway, each by its own rule.
    """
    differing = tuple(_differing(first, second))
    verdict: Verdict | None = None
    tags: tuple[TagVerdict, ...] = ()
    further_tags = 0
    if first.evidence and second.evidence and (force or not differing):
        verdict = compare_winners(
            first.evidence, second.evidence, margin=margin, differing=differing
        )
        tags, further_tags = _tags(first, second, margin, differing)
    changed = tuple(_deviations(first, second))
    has_both = first.evidence is not None and second.evidence is not None
    other = second.evidence
    return ExperimentComparison(
        experiment_id=second.row.experiment.id,
        experiment_name=second.row.experiment.name,
        winner=None if other is None else config_score(other.samples[other.winner]),
        differing=differing,
        forced=force and bool(differing),
        outcome=verdict.verdict
        if verdict
        else "not comparable"
        if has_both
        else "not enough data",
        verdict=verdict,
        deviations=changed[:DEVIATIONS],
        further=len(changed[DEVIATIONS:]),
        tags=tags,
        further_tags=further_tags,
        summary=_without_verdict(first, second, differing)
        if verdict is None
        else f"{verdict.summary} {spread(tags)}"
        if tags
        else verdict.summary,
    )


def _differing(first: Side, second: Side) -> Iterator[Differing]:
    """Name what differs, by the rules as they are understood."""
    one, other = first.row.rules, second.row.rules
    scorers = first.ranking.scorers, second.ranking.scorers
    # Before there are scores, nobody can say.
    if all(scorers) and scorers[0] != scorers[1]:
        yield "scorers"
    if one.weights != other.weights:
        yield "weights"
    named = {*scorers[0], *scorers[1], *one.directions, *other.directions}
    if any(one.direction_of(name) != other.direction_of(name) for name in named):
        yield "directions"
    if one.required != other.required:
        yield "required"
    spaces = (side.row.experiment.parameter_space for side in (first, second))
    if not is_equal(*spaces):
        yield "parameter_space"


def _deviations(first: Side, second: Side) -> tuple[Deviation, ...]:
    """Return how the other winner's config differs; nothing if one is not valid.

    The experiment's own report names a config that is not valid.
    """
    configs = []
    for side in (first, second):
        if not side.ranking.places:
            return ()
        winner = side.ranking.places[0]
        sql = _CONFIG.format(runs=side.reader.catalog.runs)
        text = side.reader.session.value(sql, winner.key)
        try:
            config, _ = decode_config(text, winner.run_id)
        except InvalidConfigError:
            return ()
        configs.append(config)
    return deviations(*configs)


def _tags(
    first: Side, second: Side, margin: float, differing: tuple[Differing, ...]
) -> tuple[tuple[TagVerdict, ...], int]:
    """Return the verdicts on the most frequent tags, and how many more there are."""
    if first.evidence is None or second.evidence is None:
        return (), 0
    one, other = (
        read_tags(side.reader, evidence.samples[evidence.winner])
        for side, evidence in ((first, first.evidence), (second, second.evidence))
    )
    common = common_tags(one, other)
    shown = dict(list(common.items())[:_TAGS])
    found = compare_tags(
        first.evidence,
        second.evidence,
        shown,
        (
            read_tagged(first.reader, first.row.rules, one, shown),
            read_tagged(second.reader, second.row.rules, other, shown),
        ),
        margin=margin,
        differing=differing,
    )
    return found, len(common) - len(shown)


def _without_verdict(
    first: Side, second: Side, differing: tuple[Differing, ...]
) -> str:
    for side, name in ((first, "this experiment"), (second, "the other experiment")):
        if not side.ranking.places:
            return (
                f"Not enough data to compare the experiments: no completed run of "
                f"{name} has a score that counts."
            )
        if side.evidence is None:
            return (
                f"Not enough data to compare the experiments: the scores of {name} are "
                "too large or of too many scorers."
            )
    return (
        f"Not compared with the other experiment's winner: the experiments differ in "
        f"{listed(differing)}. force=1 (--force) compares them anyway."
    )
