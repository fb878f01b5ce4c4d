"""Experiments to measure with: the same size gives the same runs."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import NAMESPACE_OID, UUID, uuid5

from promptlooper_export.records import ExperimentRecord, RunRecord
from promptlooper_export.runs import StageResult

WEIGHTS = {"accuracy": 0.5, "relevance": 0.3}
SCORERS = ("accuracy", "relevance", "fluency", "cost_efficiency")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def experiment(size: int) -> ExperimentRecord:
    """Make up an experiment of so many runs."""
    return ExperimentRecord(
        id=uuid5(NAMESPACE_OID, f"bench {size}"),
        name=f"bench {size}",
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config={"weights": dict(WEIGHTS)},
        created_at=EPOCH,
        updated_at=EPOCH,
        runs=runs(size),
    )


def runs(size: int) -> Iterator[RunRecord]:
    """Yield completed runs: four scores, two stages, a config of a few settings."""
    chance = random.Random(size)  # noqa: S311  the same numbers each time
    for number in range(size):
        config = (
            f'{{"model": {{"name": "model-{number % 5}", "temperature": '
            f'{chance.random():.3f}}}, "top_k": {number % 20}, "seed": {number}}}'
        )
        moment = EPOCH + timedelta(seconds=number)
        yield RunRecord(
            id=UUID(int=chance.getrandbits(128)),
            name=f"run {number}",
            status="completed",
            config=config,
            config_hash=sha256(config.encode()).hexdigest(),
            scores={scorer: (round(chance.random(), 6),) for scorer in SCORERS},
            tokens_in=chance.randrange(2000),
            tokens_out=chance.randrange(500),
            duration_ms=chance.randrange(5000),
            cost_usd=None,
            error=None,
            tags=["bench", f"tag-{number % 7}"],
            stage_results=tuple(stages(number)),
            created_at=moment,
            started_at=moment,
            finished_at=moment + timedelta(seconds=2),
            updated_at=moment,
        )


def stages(number: int) -> Iterator[StageResult]:
    """Yield the results of two stages."""
    for name in ("draft", "refine"):
        yield StageResult(
            stage_name=name,
            output=f"Answer {number} of the stage {name}.",
            tokens_in=number % 900,
            tokens_out=number % 300,
            duration_ms=number % 2000,
        )
