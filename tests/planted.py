"""Experiments with a planted truth: configs, their cases and their repeated runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from builders import experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.verdicts import VerdictWord

Configs = Mapping[str, Mapping[str, float] | Sequence[float]]
"""For each config the scores of one run by case, or the scores of its runs."""


random = np.random.default_rng(20)


def cases(mean: float, count: int = 40, noise: float = 0.05) -> dict[str, float]:
    """Draw a config's scores: cases differ in how hard they are, for every config."""
    return {
        f"case {i}": float(mean + np.sin(i) / 10 + random.normal(0, noise))
        for i in range(count)
    }


def runs(mean: float, count: int = 5, noise: float = 0.01) -> list[float]:
    """Draw the scores of a config's repeated runs."""
    return [float(mean + random.normal(0, noise)) for _ in range(count)]


HARD = cases(0.5, 60)

PLANTED: Mapping[str, tuple[Configs, VerdictWord]] = {
    "a clear win by cases": ({"a": cases(0.8), "b": cases(0.6)}, "better"),
    "a clear win by runs": ({"a": runs(0.8), "b": runs(0.6)}, "better"),
    "a clear win of many": (
        {"a": cases(0.9), **{f"b{i}": cases(0.6) for i in range(30)}},
        "better",
    ),
    "luck among many": (
        {f"b{i}": cases(0.6, count=8, noise=0.2) for i in range(40)},
        "not enough data",
    ),
    "luck among many single runs": (
        {f"b{i}": runs(0.6, count=1) for i in range(40)},
        "not enough data",
    ),
    "a tie to the last case": ({"a": HARD, "b": HARD}, "tied"),
    "a tie by very many cases": (
        {"a": cases(0.6, 800, 0.02), "b": cases(0.6, 800, 0.02)},
        "tied",
    ),
    "a tie by runs": (
        {"a": runs(0.6, 20, 0.001), "b": runs(0.6, 20, 0.001)},
        "tied",
    ),
    "a difference that is sure and too small to matter": (
        {"a": HARD, "b": {case: score - 0.001 for case, score in HARD.items()}},
        "tied",
    ),
    "too few cases": (
        {"a": cases(0.9, count=4), "b": cases(0.2, count=4)},
        "not enough data",
    ),
    "too few runs": ({"a": [0.9, 0.7], "b": [0.8, 0.5]}, "not enough data"),
    "one run of each": ({"a": [0.9], "b": [0.1]}, "not enough data"),
    "no case in common": (
        {"a": cases(0.9), "b": {f"other {i}": 0.5 for i in range(40)}},
        "not enough data",
    ),
    "a lucky run of a worse config": (
        {"a": [0.95, 0.5, 0.52, 0.48, 0.51, 0.5], "b": [0.9, 0.91, 0.9, 0.89, 0.9]},
        "worse",
    ),
    "all the same": ({"a": [0.5] * 9, "b": [0.5] * 9}, "not enough data"),
    "the same score for every case": (
        {"a": {f"{i}": 1.0 for i in range(9)}, "b": {f"{i}": 1.0 for i in range(9)}},
        "not enough data",
    ),
    "one case decides": (
        {"a": {**HARD, "case 7": 3.0}, "b": HARD},
        "not enough data",
    ),
    "better in each case": (
        {"a": {case: score + 0.05 for case, score in HARD.items()}, "b": HARD},
        "better",
    ),
    "missing cases": (
        {"a": cases(0.8), "b": dict(list(cases(0.6).items())[:25])},
        "better",
    ),
    "passes and failures, hardly different": (
        {
            "a": {f"{i}": float(i % 5 > 0) for i in range(100)},
            "b": {f"{i}": float(i % 5 > 0 and i != 7) for i in range(100)},
        },
        "not enough data",
    ),
}
"""By what is planted: the configs, and the verdict on the best two."""


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
