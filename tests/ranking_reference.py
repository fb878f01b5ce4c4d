"""The winner's rule in plain Python, over rows as a person would read them."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(kw_only=True)
class ReferenceRun:
    """A run and its judgements."""

    id: UUID
    status: str
    created_at: datetime
    judgements: list[tuple[str, float | None]] = field(default_factory=list)


def ranking(
    rules: Mapping[str, Any], runs: Iterable[ReferenceRun]
) -> list[tuple[UUID, float]]:
    """Return the runs that count with their weighted scores, the winner first."""
    counting = []
    for run in runs:
        score = weighted_score(rules, run)
        if score is not None:
            counting.append((-score, run.created_at, run.id.hex, run.id))
    return [(identity, -negative) for negative, _, _, identity in sorted(counting)]


def weighted_score(rules: Mapping[str, Any], run: ReferenceRun) -> float | None:
    """Return a run's weighted score, None where it does not count."""
    finite: dict[str, list[float]] = {}
    for scorer, value in run.judgements:
        if value is not None and math.isfinite(value):
            finite.setdefault(scorer, []).append(value)
    if run.status != "completed" or not finite:
        return None
    if not set(rules.get("required", ())) <= finite.keys():
        return None
    signed = {}
    for scorer, values in finite.items():
        mean = math.fsum(values) / len(values)
        direction = rules.get("directions", {}).get(scorer, rules.get("direction"))
        signed[scorer] = -mean if direction == "minimize" else mean
    weights = {s: w for s, w in rules.get("weights", {}).items() if s in signed}
    total = math.fsum(weights.values())
    if total > 0:
        return math.fsum(w * signed[s] for s, w in weights.items()) / total
    return math.fsum(signed.values()) / len(signed)


def decoded(scoring_config: object) -> Mapping[str, Any]:
    """Return the rules as an experiment's row holds them."""
    if scoring_config is None:
        return {}
    if isinstance(scoring_config, str):
        scoring_config = json.loads(scoring_config)
    assert isinstance(scoring_config, dict)
    return scoring_config
