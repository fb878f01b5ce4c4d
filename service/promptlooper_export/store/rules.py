"""What scoring_config asks for, and what in it is open to doubt."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from promptlooper_export.documents import JSON, Notice

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class ScorerRule:
    """How one scorer is read; `weight` is None where it has none."""

    direction: Direction
    weight: float | None
    required: bool


def rule(scoring_config: JSON, scorer: str) -> ScorerRule:
    """Return how a scorer is read, as the ranking's SQL reads it."""
    config = scoring_config if isinstance(scoring_config, dict) else {}
    weights = _object(config.get("weights"))
    directions = _object(config.get("directions"))
    required = config.get("required")
    named = directions.get(scorer)
    direction = named if named in ("maximize", "minimize") else config.get("direction")
    return ScorerRule(
        direction="minimize" if direction == "minimize" else "maximize",
        weight=_weight(weights.get(scorer)),
        required=isinstance(required, list) and scorer in required,
    )


def doubts(scoring_config: JSON, scores: Mapping[str, float]) -> Iterator[Notice]:
    """Name what of the weights and directions does not do what it may seem to."""
    if scoring_config is not None and not isinstance(scoring_config, dict):
        yield _notice(
            "scoring-config-ignored", "scoring_config is no object and is ignored."
        )
        return
    config = scoring_config or {}
    weights = _object(config.get("weights"))
    for scorer, value in weights.items():
        weight = _weight(value)
        path = f"scoring_config.weights.{scorer}"
        if weight is None:
            message = f"The weight of {scorer!r} is no finite number and is ignored."
            yield _notice("weight-ignored", message, path)
        elif weight < 0:
            message = (
                f"The weight of {scorer!r} is negative ({weight:g}); "
                "to prefer low values, set its direction to minimize."
            )
            yield _notice("negative-weight", message, path)
    for scorer, value in _object(config.get("directions")).items():
        if value not in ("maximize", "minimize"):
            message = f"The direction of {scorer!r} is neither maximize nor minimize."
            yield _notice(
                "direction-ignored", message, f"scoring_config.directions.{scorer}"
            )
    if config.get("direction") not in (None, "maximize", "minimize"):
        message = "The direction is neither maximize nor minimize."
        yield _notice("direction-ignored", message, "scoring_config.direction")
    present = [w for s in scores if (w := _weight(weights.get(s))) is not None]
    if weights and math.fsum(present) <= 0:
        message = "The winner's weights sum to 0 or less: its plain mean counts."
        yield _notice("weights-sum", message, "scoring_config.weights")


def _weight(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        weight = float(value)
    except OverflowError:
        return None
    return weight if math.isfinite(weight) else None


def _object(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _notice(code: str, message: str, path: str = "scoring_config") -> Notice:
    return Notice(code=code, message=message, path=path)
