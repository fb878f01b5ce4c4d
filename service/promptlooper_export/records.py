"""What importers yield: experiments and runs as records, independent of a database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.runs import StageResult


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run to be written; `config` is JSON text, kept exactly as it is.

    `scores` maps a scorer to its judgements; NaN and infinities are allowed there.
    `cases` maps a scorer to the id of the case of each of its judgements, if it judged
    case by case; None for a judgement of no case in particular.
    """

    id: UUID
    name: str | None
    status: str
    config: str
    config_hash: str
    scores: Mapping[str, tuple[float | None, ...]]
    tokens_in: int | None
    tokens_out: int | None
    duration_ms: int | None
    cost_usd: float | None
    error: str | None
    tags: JSON
    stage_results: tuple[StageResult, ...]
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime | None
    cases: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExperimentRecord:
    """An experiment to be written; `runs` is read once, before the next experiment.

    `place` says where it was read, such as `FILE:LINE`, for messages. `warnings` say
    what the reader should know of the source, such as what was left out. `total` is how
    many runs there are; None if that is known only after they have been read.
    """

    id: UUID
    name: str
    description: str | None
    status: str
    parameter_space: JSON
    scoring_config: JSON
    created_at: datetime | None
    updated_at: datetime | None
    runs: Iterator[RunRecord] = field(repr=False)
    place: str | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    total: int | None = field(default=None, compare=False)


Records: TypeAlias = Iterator[ExperimentRecord]
"""What an importer yields."""
