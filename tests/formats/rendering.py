"""Build documents that say only what matters to a test, and render them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import (
    Best,
    Cost,
    Differences,
    Experiment,
    Notice,
    Period,
    RankedRun,
    Report,
    RunCounts,
    Runs,
    ScorerStatistics,
    Timing,
    Tokens,
    Winner,
)
from promptlooper_export.plugin import Format, flatten
from promptlooper_export.runs import Columns, Run, RunBatch, StageResult, ValueKind

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPERIMENT = UUID("11111111-2222-4333-8444-555555555555")
RUN = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a format made of a document."""

    body: bytes
    notices: tuple[Notice, ...]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.notices]


def render(
    format_: Format[Any], document: Best | Report | Runs, **options: object
) -> Rendered:
    pieces = list(format_.stream(document, options))
    return Rendered(
        body=b"".join(piece for piece in pieces if isinstance(piece, bytes)),
        notices=tuple(piece for piece in pieces if isinstance(piece, Notice)),
    )


class BestFields(TypedDict, total=False):
    experiment_name: str
    exported_at: datetime
    weighted_score: float
    scores: Mapping[str, float]
    warnings: tuple[Notice, ...]


def best(config: Mapping[str, JSON], **fields: Unpack[BestFields]) -> Best:
    plain = Best(
        experiment_name="summaries",
        experiment_id=EXPERIMENT,
        exported_at=MOMENT,
        weighted_score=0.5,
        scores={"accuracy": 0.5},
        run_id=RUN,
        config_hash="c0ffee",
        config=config,
    )
    return replace(plain, **fields)


class ExperimentFields(TypedDict, total=False):
    name: str
    description: str | None
    status: str
    parameter_space: JSON


def experiment(**fields: Unpack[ExperimentFields]) -> Experiment:
    plain = Experiment(
        id=EXPERIMENT,
        name="summaries",
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=None,
        created_at=MOMENT,
        updated_at=MOMENT,
    )
    return replace(plain, **fields)


class RunFields(TypedDict, total=False):
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


def ranked_run(**fields: Unpack[RunFields]) -> RankedRun:
    plain = RankedRun(
        rank=1,
        run_id=RUN,
        name=None,
        weighted_score=0.5,
        scores={"accuracy": 0.5},
        config_hash="c0ffee",
        duration_ms=None,
        tokens_in=None,
        tokens_out=None,
        cost_usd=None,
    )
    return replace(plain, **fields)


def won(config: Mapping[str, JSON] | None, **fields: Unpack[RunFields]) -> Report:
    """Build the report of an experiment with one run."""
    run = ranked_run(**fields)
    return report(top=(run,), winner=Winner(run=run, config=config))


class ReportFields(TypedDict, total=False):
    experiment: Experiment
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
    warnings: tuple[Notice, ...]


def report(**fields: Unpack[ReportFields]) -> Report:
    """Build the report of an experiment without runs, but for what is told."""
    plain = Report(
        experiment=experiment(),
        exported_at=MOMENT,
        counts=RunCounts(total=0, by_status={}, scored=0),
        top_n=5,
        top=(),
        winner=None,
        differences=None,
        scorers=(),
        tokens=Tokens(tokens_in=0, tokens_out=0),
        timing=None,
        cost=None,
        history=(),
    )
    return replace(plain, **fields)


class RowFields(TypedDict, total=False):
    run_id: UUID
    name: str | None
    status: str
    weighted_score: float | None
    rank: int | None
    scores: Mapping[str, float]
    config_hash: str
    tokens_in: int | None
    cost_usd: float | None
    error: str | None
    tags: JSON
    stage_results: tuple[StageResult, ...]
    finished_at: datetime | None


def row(config: Mapping[str, JSON] | None = None, **fields: Unpack[RowFields]) -> Run:
    """Build a run that has little but its config."""
    plain = Run(
        run_id=RUN,
        name=None,
        status="completed",
        weighted_score=None,
        rank=None,
        config=config,
        config_hash="c0ffee",
        scores={},
        tokens_in=None,
        tokens_out=None,
        duration_ms=None,
        cost_usd=None,
        error=None,
        tags=None,
        stage_results=(),
        created_at=MOMENT,
        started_at=None,
        finished_at=None,
        updated_at=MOMENT,
    )
    return replace(plain, **fields)


def kinds(path: str, rows: tuple[Run, ...]) -> frozenset[ValueKind]:
    """Return what values there are under a path."""
    return frozenset(
        kind(value)
        for row in rows
        for found, value in flatten(row.config or {})
        if str(found) == path
    )


def kind(value: JSON) -> ValueKind:
    names: dict[type, ValueKind] = {
        type(None): "null", bool: "boolean", float: "number", str: "text",
        list: "json", dict: "json",
    }  # fmt: skip
    if type(value) is not int:
        return names[type(value)]
    if float(value) == value and abs(value) <= 2**53:
        return "integer"
    return "long" if value in range(-(2**63) + 1, 2**63) else "big"


def table(*rows: Run) -> Runs:
    """Build the document of these runs."""
    paths = {str(path) for row in rows for path, _ in flatten(row.config or {})}
    scorers = {scorer for row in rows for scorer in row.scores}
    columns = Columns(
        config=tuple(sorted(paths)),
        scores=tuple(sorted(scorers)),
        kinds={path: kinds(path, rows) for path in paths},
    )
    return Runs(
        experiment=experiment(),
        count=len(rows),
        batches=iter([RunBatch.of(rows)]),
        found_columns=columns,
    )
