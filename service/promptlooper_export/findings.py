"""What a report finds out about its runs: the values that are a part of it."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from promptlooper_export.configs import JSON


@dataclass(frozen=True, kw_only=True)
class ParameterValue:
    """The runs with one value of a parameter, or with numbers from `least` to `most`.

    `is_set` is False for the runs whose config lacks the parameter. `mean` is that of
    their weighted scores, with Student's 95 % interval from `low` to `high`.
    """

    value: JSON
    is_set: bool
    least: float | None
    most: float | None
    runs: int
    mean: float
    low: float
    high: float


ParameterKind = Literal["categorical", "numeric"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """How scores differ with one parameter of the configs.

    `share` is the fraction of the scores' variance, 0 to 1, that goes with the
    parameter: eta squared. With few runs for each value, luck makes it large;
    `corrected` is omega squared, without what luck explains on average, and `p` the
    probability of a share as large if the parameter made no difference. All are over
    the `runs` whose value at least 3 runs have. `further` counts values that are not
    listed.
    """

    path: str
    kind: ParameterKind
    runs: int
    share: float
    corrected: float
    p: float
    values: tuple[ParameterValue, ...]
    further: int


LeftOutReason = Literal["constant", "unique", "not enough data"]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A parameter that nothing can be said about, and why.

    `constant`: each run has the same value. `unique`: each has another one, like a seed
    or an id. `not enough data`: fewer than 2 values have 3 runs, or all scores are the
    same.
    """

    path: str
    reason: LeftOutReason


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Which parameters go with high scores, those that explain most of them first.

    `used` of the `runs` that count were looked at, evenly spread over time. That a
    parameter goes with high scores does not mean that it causes them. `further` and
    `further_left_out` count the parameters that are not listed.
    """

    method: str
    runs: int
    used: int
    parameters: tuple[Parameter, ...]
    further: int
    left_out: tuple[LeftOut, ...]
    further_left_out: int


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """A parameter in which another config differs from the winner's.

    A value is None and its `has_` flag False if the config lacks the parameter.
    """

    path: str
    winner: JSON
    has_winner: bool
    other: JSON
    has_other: bool


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One of the next best runs with another config than those before it.

    `deviations` are the first parameters, by path, in which it differs from the winner;
    `further` counts the rest.
    """

    rank: int
    run_id: UUID
    weighted_score: float
    deviations: tuple[Deviation, ...]
    further: int


Retry = Literal["yes", "no", "unknown"]
"""Whether trying a failed run again may help."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Failed runs whose errors differ in numbers and ids only.

    `message` is that of the oldest one: the first line of its error, or the last one of
    a traceback; None without any. `run_ids` are at most 5, the oldest first.
    """

    message: str | None
    count: int
    run_ids: tuple[UUID, ...]
    retry: Retry


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failed runs by what went wrong, the most frequent first.

    `further` counts the groups that are not listed, `further_runs` their runs.
    """

    runs: int
    groups: tuple[Failure, ...]
    further: int
    further_runs: int


Measure = Literal["cost_usd", "duration_ms"]


@dataclass(frozen=True, kw_only=True)
class TradeOffPoint:
    """A run and its cost in USD, or its milliseconds, as `value`."""

    run_id: UUID
    weighted_score: float
    value: float


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """The runs that no other run beats on both the score and a measure.

    To beat means to be at least as good on both and better on one. `runs` is how many
    count, `without` how many of these lack the measure and are left out. `points` are
    at most 20 of the `count` on this front, the highest score first; of equal runs, the
    oldest. `others` is an even sample, over time, of all runs that have the measure.
    """

    measure: Measure
    runs: int
    without: int
    count: int
    points: tuple[TradeOffPoint, ...]
    others: tuple[TradeOffPoint, ...]


@dataclass(frozen=True, kw_only=True)
class ScorerCoverage:
    """How many completed runs a scorer judged, and what it gave that does not count.

    `missing` counts the completed runs without a finite judgement; `nulls` and
    `not_finite` count judgements that are NULL, or NaN, infinite or no number.
    """

    name: str
    required: bool
    runs: int
    missing: int
    nulls: int
    not_finite: int


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Beyond this weight, the run `run_id` wins."""

    weight: float
    run_id: UUID


@dataclass(frozen=True, kw_only=True)
class WeightRange:
    """How far the weight of a scorer can change alone without another winner.

    `lower` and `upper` are None if no weight above 0, or none at all, changes it.
    """

    scorer: str
    weight: float
    lower: Crossing | None
    upper: Crossing | None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """By how much each weight alone must change for another of the `runs` to win.

    Each scorer has its weight, 0 without one; if no scorer has a weight, each counts
    as 1.
    """

    runs: int
    scorers: tuple[WeightRange, ...]
