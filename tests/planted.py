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
    cases = {}
    runs = []
    for name, scores in configs.items():
        config: JSON = {"model": name}
        if isinstance(scores, Mapping):
            made = run({"accuracy": list(scores.values())}, config=config, name=name)
            cases[made.id] = list(scores)
            runs.append(made)
        else:
            runs += [
                run({"accuracy": score}, config=config, name=name) for score in scores
            ]
    written = experiment(*runs, **fields)
    database.load(written)
    for run_id, names in cases.items():
        rows = database.execute(
            "SELECT id FROM scores WHERE run_id = ? ORDER BY id", run_id
        )
        whens = " ".join("WHEN ? THEN ?" for _ in names)
        pairs = zip((key for (key,) in rows), names, strict=True)
        database.execute(
            f"UPDATE scores SET case_id = CASE id {whens} END WHERE run_id = ?",
            *(value for pair in pairs for value in pair),
            run_id,
        )
    return written
