"""The documents that formats render: plain values, the same for every format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Literal, TypeAlias
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.decisions import Decision
from promptlooper_export.findings import (
    Failures,
    Parameters,
    Rival,
    ScorerCoverage,
    Sensitivity,
    TradeOff,
)
from promptlooper_export.runs import Columns, Run, RunBatch
from promptlooper_export.verdicts import Assessment, ExperimentComparison

Status = Literal["pending", "running", "completed", "failed", "cancelled", "pruned"]
"""The states of a run."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something a reader of the export should know; `path` says where in the config."""

    code: str
    message: str
    path: str | None = None

    def __str__(self) -> str:
        """Return the message with its path in front, unless it begins with the path."""
        if self.path is None or self.message.startswith(f"{self.path} is "):
            return self.message
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Best:
    """The winning run of an experiment and its whole config."""

    experiment_name: str
    experiment_id: UUID
    exported_at: datetime
    weighted_score: float
    scores: Mapping[str, float]
    run_id: UUID
    config_hash: str
    config: Mapping[str, JSON]
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment's own row; None if the database has no readable value."""

    id: UUID
    name: str
    description: str | None
    status: str
    parameter_space: JSON
    scoring_config: JSON
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RunCounts:
    """How many runs there are: in all, by status, and how many count."""

    total: int
    by_status: Mapping[str, int]
    scored: int


@dataclass(frozen=True, kw_only=True)
class RankedRun:
    """One place of the ranking; rank 1 is the winner."""

    rank: int
    run_id: UUID
    name: str | None
    weighted_score: float
    scores: Mapping[str, float]
    config_hash: str
    duration_ms: int | None
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class TopParameter:
    """A parameter in which the best runs differ, with its value in each, best first.

    The value is None and `is_set` False for a run whose config lacks the parameter or
    is invalid.
    """

    path: str
    values: tuple[JSON, ...]
    is_set: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winning run; `config` is None if the stored one is invalid."""

    run: RankedRun
    config: Mapping[str, JSON] | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A parameter by which the winner stands out.

    `runner_up` is the second run's value and `usual` the most frequent one among the
    compared runs; if there is no such value, it is None and its `has_` flag False.
    `share` is the fraction of the compared runs, 0 to 1, that agree with the winner.
    """

    path: str
    winner: JSON
    has_winner: bool
    runner_up: JSON
    has_runner_up: bool
    usual: JSON
    has_usual: bool
    share: float


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What the winner does differently from `compared` other runs, best first."""

    compared: int
    parameters: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bar of a histogram: values in [low, high), in the last bar also high."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The weighted scores of the runs that count.

    `values` holds what it holds for a scorer: see ScorerStatistics.
    """

    values: Mapping[str, float]
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class ScorerStatistics:
    """A scorer over the completed runs that have it, each with its mean judgement.

    `values` holds count, min, max, mean, standard_deviation (of a sample; absent for a
    single run) and the quartiles q1, median, q3 (linear interpolation).
    """

    name: str
    direction: Literal["maximize", "minimize"]
    weight: float | None
    required: bool
    values: Mapping[str, float]
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens over all runs of any status."""

    tokens_in: int
    tokens_out: int

    @property
    def total(self) -> int:
        """Tokens in and out together."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Durations of completed runs, in milliseconds; `count` of them have one."""

    count: int
    fastest: float
    slowest: float
    average: float
    median: float
    p95: float
    total: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost in USD over all runs that have one."""

    count: int
    total: float
    average: float


@dataclass(frozen=True, kw_only=True)
class Period:
    """Runs created in [start, end): how many count, their best and mean score.

    `failed` counts those that failed from its start to that of the next period; in the
    first period and the last, those before and after as well.
    """

    start: datetime
    end: datetime
    count: int
    best: float
    mean: float
    best_so_far: float
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything about an experiment that does not grow with its runs.

    `top` holds the best runs, at most `top_n`. `decision` is there for formats that
    declare needs_decision=True.
    """

    experiment: Experiment
    exported_at: datetime
    counts: RunCounts
    top_n: int
    top: tuple[RankedRun, ...]
    winner: Winner | None
    differences: Differences | None
    scorers: tuple[ScorerStatistics, ...]
    tokens: Tokens
    timing: Timing | None
    cost: Cost | None
    history: tuple[Period, ...]
    top_parameters: tuple[TopParameter, ...] = ()
    distribution: Distribution | None = None
    assessment: Assessment | None = None
    decision: Decision | None = None
    parameters: Parameters | None = None
    failures: Failures | None = None
    trade_offs: tuple[TradeOff, ...] = ()
    coverage: tuple[ScorerCoverage, ...] = ()
    sensitivity: Sensitivity | None = None
    rivals: tuple[Rival, ...] = ()
    against: ExperimentComparison | None = None
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Every run of an experiment, or a page of them, by created_at, then id.

    They come in `batches`, or one by one as `rows`, and can be read once; `count` is
    their number, and `warnings` is complete after their end. `last` is the last run of
    a page if more follow it.
    `found_columns` are None for a format that does not need them.
    """

    experiment: Experiment
    count: int
    batches: Iterator[RunBatch] = field(repr=False)
    warnings: Sequence[Notice] = ()
    last: UUID | None = None
    found_columns: Columns | None = None

    @property
    def columns(self) -> Columns:
        """What occurs in any run of the experiment, on this page or not.

        Raises ValueError if the format declares that it needs no columns.
        """
        if self.found_columns is None:
            msg = "columns are found for formats that declare needs_columns=True"
            raise ValueError(msg)
        return self.found_columns

    @cached_property
    def rows(self) -> Iterator[Run]:
        """The runs one by one."""
        return chain.from_iterable(self.batches)


Document: TypeAlias = Best | Report | Runs
"""What a format renders: exactly one of these."""
