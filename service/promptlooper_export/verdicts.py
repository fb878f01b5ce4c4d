"""What the data say about one config against another: the values of a report."""

import json
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.findings import Deviation


@dataclass(frozen=True, kw_only=True)
class ConfigScore:
    """A config's score: the mean of the weighted scores of its runs that count.

    `run_id` is its best run. `cases` were judged with every scorer. The 95 % interval
    from `low` to `high` is that of the mean over cases or, without any, over runs; both
    are None if there are fewer than two.
    """

    config_hash: str
    run_id: UUID
    runs: int
    cases: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class CaseScores:
    """What two configs scored on the same case: the winner's, and the other."""

    case_id: str
    winner: float
    other: float


@dataclass(frozen=True, kw_only=True)
class ByCase:
    """On how many of the cases that both judged the winner's config scored higher.

    `cases` are those that differ most, at most 30; `further` counts the rest.
    """

    wins: int
    ties: int
    losses: int
    cases: tuple[CaseScores, ...]
    further: int


VerdictWord = Literal["better", "worse", "tied", "not enough data"]
Against = Literal["runner-up", "baseline", "experiment"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the data say about the winner's config against another one.

    `difference` is the winner's score minus the other's, and its interval from `low` to
    `high` has the given `confidence`. `p` is the probability, if both were equally
    good, of a difference as large. `counts` is the number of cases that both judged, or
    of runs of each. `needed` is how many would probably settle what is not settled yet.
    What the data do not allow is None; `by_case` is if they have no case in common.
    `summary` says all this in a sentence.
    """

    against: Against
    other: ConfigScore
    verdict: VerdictWord
    method: str | None
    difference: float
    low: float | None
    high: float | None
    confidence: float | None
    p: float | None
    counts: tuple[int, ...]
    needed: int | None
    by_case: ByCase | None
    summary: str


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Whether the winner is one: its config against others.

    `configs` is how many were tried and have a score, `margin` the difference up to
    which they count as tied. `shrunk` is the winner's score moved towards the mean of
    all configs, because the best of many is mostly lucky, too; None if nothing is known
    about luck. `leaders` are the best configs by their mean.
    """

    configs: int
    runs: int
    margin: float
    winner: ConfigScore
    shrunk: float | None
    verdicts: tuple[Verdict, ...]
    leaders: tuple[ConfigScore, ...]


Differing = Literal["scorers", "weights", "directions", "required", "parameter_space"]
"""What makes the scores of two experiments mean different things."""

Outcome = Literal[VerdictWord, "not comparable"]


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag of runs: a value under a key, or, if the key is empty, an item of a list.

    `path` is the key.
    """

    path: str
    value: JSON

    def __str__(self) -> str:
        """Write it as `key=value`; what is not text is written as JSON."""
        value = self.value
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        return f"{self.path}={text}" if self.path else text


@dataclass(frozen=True, kw_only=True)
class TagVerdict:
    """The verdict over the runs of both configs that have a tag."""

    tag: Tag
    runs: tuple[int, int]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class ExperimentComparison:
    """The winner's config against that of another experiment.

    `differing` names what makes the two not comparable; then there is a `verdict` only
    if it was `forced`. `outcome` is the verdict's word, or says why there is none.
    `winner` is that of the other experiment, and `deviations` are the first parameters,
    by path, in which its config differs; `further` counts the rest. `tags` are those
    that runs of both have, the most frequent first; `further_tags` counts the rest.
    `summary` says it in a sentence or two.
    """

    experiment_id: UUID
    experiment_name: str
    winner: ConfigScore | None
    differing: tuple[Differing, ...]
    forced: bool
    outcome: Outcome
    verdict: Verdict | None
    deviations: tuple[Deviation, ...]
    further: int
    tags: tuple[TagVerdict, ...]
    further_tags: int
    summary: str
