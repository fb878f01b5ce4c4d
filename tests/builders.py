"""Make experiments and runs that say only what matters to a test."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict, Unpack
from uuid import NAMESPACE_OID, UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord, RunRecord
from promptlooper_export.runs import StageResult

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""What is built first was created a minute after this, the next a minute later."""

Judgements = float | None | Sequence[float | None]
Directions = Mapping[str, Literal["maximize", "minimize"]]


class RunFields(TypedDict, total=False):
    """What else a run may be told, under the names of RunRecord."""

    id: UUID
    name: str | None
    status: str
    config_hash: str
    tokens_in: int | None
    tokens_out: int | None
    duration_ms: int | None
    cost_usd: float | None
    error: str | None
    tags: JSON
    stage_results: tuple[StageResult, ...]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    cases: Mapping[str, tuple[str | None, ...]]


class ExperimentFields(TypedDict, total=False):
    """What else an experiment may be told, under the names of ExperimentRecord."""

    id: UUID
    name: str
    description: str | None
    status: str
    parameter_space: JSON
    created_at: datetime
    updated_at: datetime


class _Numbers:
    """Where ids and times come from; starts again with each test."""

    counter = itertools.count(1)


def restart() -> None:
    """Number what is built from 1 again."""
    _Numbers.counter = itertools.count(1)


def run(
    scores: Mapping[str, Judgements] | None = None,
    *,
    config: JSON = None,
    text: str | None = None,
    **fields: Unpack[RunFields],
) -> RunRecord:
    """Build a completed run.

    A scorer's value may be a list: repeated judgements. `text` is the config as it is
    stored, for those that `config` cannot express.
    """
    number = next(_Numbers.counter)
    if text is None:
        text = json.dumps(
            {"temperature": 0.5} if config is None else config, ensure_ascii=False
        )
    created_at = fields.get("created_at", EPOCH + timedelta(minutes=number))
    plain = RunRecord(
        id=uuid5(NAMESPACE_OID, f"run {number}"),
        name=None,
        status="completed",
        config=text,
        config_hash=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        scores={name: _judgements(value) for name, value in (scores or {}).items()},
        tokens_in=None,
        tokens_out=None,
        duration_ms=None,
        cost_usd=None,
        error=None,
        tags=None,
        stage_results=(),
        created_at=created_at,
        started_at=None,
        finished_at=None,
        updated_at=created_at,
    )
    return replace(plain, **fields)


def experiment(
    *runs: RunRecord,
    weights: Mapping[str, float] | None = None,
    directions: Directions | None = None,
    required: Sequence[str] | None = None,
    scoring_config: JSON = None,
    **fields: Unpack[ExperimentFields],
) -> ExperimentRecord:
    """Build a completed experiment; `runs` of the record can be read once.

    `scoring_config` is for what `weights`, `directions` and `required` cannot express.
    """
    number = next(_Numbers.counter)
    rules: dict[str, JSON] = {}
    if weights is not None:
        rules["weights"] = dict(weights)
    if directions is not None:
        rules["directions"] = dict(directions)
    if required is not None:
        rules["required"] = list(required)
    created_at = fields.get("created_at", EPOCH + timedelta(minutes=number))
    plain = ExperimentRecord(
        id=uuid5(NAMESPACE_OID, f"experiment {number}"),
        name=f"experiment {number}",
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=rules or scoring_config,
        created_at=created_at,
        updated_at=created_at,
        runs=iter(runs),
    )
    return replace(plain, **fields)


def _judgements(value: Judgements) -> tuple[float | None, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)
