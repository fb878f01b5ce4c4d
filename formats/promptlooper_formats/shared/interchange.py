"""Experiments and runs as the lines of the interchange file, which can be imported."""

import math
from collections.abc import Sequence

from promptlooper_export.plugin import Experiment, Run, StageResult, timestamp

_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def experiment_line(experiment: Experiment) -> dict[str, object]:
    """Return the line that opens an experiment."""
    return {
        "type": "experiment",
        "id": str(experiment.id),
        "name": experiment.name,
        "description": experiment.description,
        "status": experiment.status,
        "parameter_space": experiment.parameter_space,
        "scoring_config": experiment.scoring_config,
        "created_at": experiment.created_at and timestamp(experiment.created_at),
        "updated_at": experiment.updated_at and timestamp(experiment.updated_at),
    }


def run_line(run: Run) -> dict[str, object]:
    """Return the line of a run, with all that is stored of it."""
    # Only for runs that were judged case by case: readers from before there were cases
    # refuse the member.
    cases = {"cases": {name: _alone(found) for name, found in run.cases.items()}}
    return {
        "type": "run",
        "id": str(run.run_id),
        "name": run.name,
        "status": run.status,
        "config": run.config,
        "config_hash": run.config_hash,
        "scores": {name: _judged(values) for name, values in run.judgements.items()},
        **(cases if run.cases else {}),
        "tokens_in": run.tokens_in,
        "tokens_out": run.tokens_out,
        "duration_ms": run.duration_ms,
        "cost_usd": run.cost_usd,
        "error": run.error,
        "tags": run.tags,
        "stage_results": [stage_line(stage) for stage in run.stage_results],
        "created_at": run.created_at and timestamp(run.created_at),
        "started_at": run.started_at and timestamp(run.started_at),
        "finished_at": run.finished_at and timestamp(run.finished_at),
        "updated_at": run.updated_at and timestamp(run.updated_at),
    }


def stage_line(stage: StageResult) -> dict[str, object]:
    """Return what one stage of a run gave."""
    return vars(stage)


def _judged(values: tuple[float | None, ...]) -> object:
    """Write one judgement as it is, several as a list, and NaN and infinity as text."""
    written = [
        value
        if value is None or math.isfinite(value)
        else _NOT_FINITE.get(value, "NaN")
        for value in values
    ]
    return _alone(written)


def _alone(values: Sequence[object]) -> object:
    """Return a single value as it is, several as a list."""
    return values[0] if len(values) == 1 else list(values)
