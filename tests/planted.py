"""Experiments with a planted truth: configs, their cases and their repeated runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from builders import experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord

Configs = Mapping[str, Mapping[str, float] | Sequence[float]]
"""For each config the scores of one run by case, or the scores of its runs."""


def plant(
    database: Database,
    configs: Configs,
    **fields: Any,  # noqa: ANN401
) -> ExperimentRecord:
    """Write an experiment whose configs were judged by `accuracy`."""
    runs = []
    for name, scores in configs.items():
        config: JSON = {"model": name}
        if isinstance(scores, Mapping):
            judged = list(scores.values())
            cases = {"accuracy": tuple(scores)}
            runs.append(
                run({"accuracy": judged}, config=config, name=name, cases=cases)
            )
        else:
            runs += [
                run({"accuracy": score}, config=config, name=name) for score in scores
            ]
    written = experiment(*runs, **fields)
    database.load(written)
    return written
