"""The winner's rule: what scoring_config asks for, and what a run's scores come to.

Pure: no database. `ranking` finds the few runs that this rule decides between.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import repeat
from operator import mul
from typing import Any, Literal, NamedTuple, TypeGuard
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import Notice
from promptlooper_export.store.rows import label

Direction = Literal["maximize", "minimize"]

_DIRECTIONS: Mapping[str, Direction] = {
    "maximize": "maximize",
    "maximise": "maximize",
    "max": "maximize",
    "minimize": "minimize",
    "minimise": "minimize",
    "min": "minimize",
}

_MEMBERS = ("weights", "directions", "direction", "required")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How scorers are read and weighed.

    `weights` holds finite numbers only; `direction` is for the scorers that
    `directions` does not name.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    directions: Mapping[str, Direction] = field(default_factory=dict)
    direction: Direction = "maximize"
    required: frozenset[str] = frozenset()

    def direction_of(self, scorer: str) -> Direction:
        """Return whether high or low values of a scorer are better."""
        return self.directions.get(scorer, self.direction)

    def sign(self, scorer: str) -> int:
        """Return the factor that makes higher values better."""
        return -1 if self.direction_of(scorer) == "minimize" else 1

    def signed(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return a run's values so that higher ones are better."""
        return {scorer: self.sign(scorer) * value for scorer, value in values.items()}


class CompletedRun(NamedTuple):
    """A completed run and what each scorer gave it; its cells are as stored.

    `moment` is in microseconds since 1970.
    """

    run_id: UUID
    key: object
    judged: dict[str, list[object]]
    moment: int | None
    cost_usd: Any
    duration_ms: Any


def rules(scoring_config: JSON) -> Rules:
    """Read the rules; what is not understood is left out, and `doubts` names it."""
    config = _object(scoring_config)
    weights = {
        scorer: weight
        for scorer, value in _object(config.get("weights")).items()
        if (weight := _weight(value)) is not None
    }
    directions = {
        scorer: direction
        for scorer, value in _object(config.get("directions")).items()
        if (direction := _direction(value)) is not None
    }
    return Rules(
        weights=weights,
        directions=directions,
        direction=_direction(config.get("direction")) or "maximize",
        required=frozenset(_texts(config.get("required"))),
    )


def weighted_score(rule: Rules, values: Mapping[str, float]) -> float | None:
    """Return what a run's value for each scorer comes to; None if it does not count.

    A run counts if it has a value and every required scorer, and the result is a finite
    number. Sums are exact before they are rounded (math.fsum), so that their order
    decides nothing.
    """
    if not values or not rule.required <= values.keys():
        return None
    signed = rule.signed(values)
    weights = {
        scorer: weight for scorer, weight in rule.weights.items() if scorer in values
    }
    # Only the weights of scorers that the run has: one that it lacks counts neither for
    # nor against it. `required` is the rule for scorers that a run must have.
    try:
        total = math.fsum(weights.values())
        # Without a positive sum there is no weighted mean: the plain one counts, and
        # `doubts` says so if it is the winner's.
        if total > 0:
            score = math.fsum(w * signed[s] for s, w in weights.items()) / total
        else:
            score = math.fsum(signed.values()) / len(signed)
    except (OverflowError, ValueError):  # beyond a double; infinities of both signs
        return None
    return score if math.isfinite(score) else None


def weighted_scores(
    rule: Rules, scorers: Sequence[str], columns: Sequence[Sequence[float]]
) -> Iterable[float | None]:
    """Return the weighted score of each of some runs that have the same scorers.

    The columns have the values of each scorer. There are none without scorers.
    """
    if not rule.required <= set(scorers):
        return repeat(None, len(columns[0]) if columns else 0)
    column_of = dict(zip(scorers, columns, strict=True))
    weights = {s: weight for s, weight in rule.weights.items() if s in column_of}
    try:
        # As above, with the same addends in the same order.
        total = math.fsum(weights.values())
        if total > 0:
            factors = [weight * rule.sign(s) for s, weight in weights.items()]
            rows = zip(*(column_of[s] for s in weights), strict=True)
        else:
            total = float(len(scorers))
            factors = [rule.sign(s) for s in scorers]
            rows = zip(*columns, strict=True)
        scores = [math.fsum(map(mul, factors, row)) / total for row in rows]
    except (OverflowError, ValueError):
        each = zip(*columns, strict=True)
        return [
            weighted_score(rule, dict(zip(scorers, row, strict=True))) for row in each
        ]
    if math.isfinite(sum(scores)):
        return scores
    return [score if math.isfinite(score) else None for score in scores]


def mean(values: Sequence[float]) -> float:
    """Return the mean of repeated judgements."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        # Their sum leaves the range of a double although their mean does not. Dividing
        # first costs a rounding for each value, so it is not done otherwise.
        return math.fsum(value / len(values) for value in values)


def finite_means(judged: Mapping[str, Sequence[object]]) -> dict[str, float]:
    """Return a run's value for each scorer that gave it a finite judgement."""
    return {
        scorer: mean(finite)
        for scorer, values in judged.items()
        if (finite := [float(value) for value in values if is_finite(value)])
    }


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether a judgement counts; SQLite may hold text in its place."""
    # True is an int to Python, but a JSON true is not a score.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that is larger than any double
        return False


def unusable(judged: Mapping[str, Sequence[object]], run: UUID) -> Iterator[Notice]:
    """Name a run's judgements that do not count: NULL, NaN, infinities, no numbers."""
    for scorer, values in judged.items():
        for value in values:
            if not is_finite(value):
                shown = "NULL" if value is None else label(value)
                yield _notice(
                    "score-not-finite",
                    f"A score of run {run} by {scorer!r} is {shown} and does not "
                    "count.",
                    f"scores.{scorer}",
                )


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A weight or direction word that is not understood; `hint` may name another."""

    code: str
    path: str
    what: str
    hint: str = ""


def faults(scoring_config: JSON) -> Iterator[Fault]:
    """Name the weights and direction words that are not understood."""
    config = _object(scoring_config)
    yield from _weight_faults(config.get("weights"))
    yield from _direction_faults(config)


def doubts(
    scoring_config: JSON, scores: Mapping[str, float], scorers: frozenset[str]
) -> Iterator[Notice]:
    """Name what of the rules is not understood or does not do what it may seem to.

    `scores` are the winner's, `scorers` all that any completed run has.
    """
    if scoring_config is not None and not isinstance(scoring_config, dict):
        yield _notice(
            "scoring-config-ignored", "scoring_config is not an object and is ignored."
        )
        return
    config = scoring_config or {}
    for name in config:
        if name not in _MEMBERS:
            yield _notice(
                "rule-ignored",
                f"The member {name!r} of scoring_config is not understood and is "
                f"ignored; known are {', '.join(_MEMBERS)}.",
                f"scoring_config.{name}",
            )
    for fault in faults(config):
        message = f"{fault.what} and is ignored{fault.hint or '.'}"
        yield _notice(fault.code, message, fault.path)
    yield from _weight_doubts(config, scores, scorers)
    for scorer in _object(config.get("directions")):
        if is_unknown(scorer, scorers):
            path = f"scoring_config.directions.{scorer}"
            yield _unknown_scorer("directions", scorer, scorers, path)
    yield from _required_doubts(config, scorers)


def _weight_faults(given: JSON) -> Iterator[Fault]:
    code, path = "weight-ignored", "scoring_config.weights"
    if given is not None and not isinstance(given, dict):
        what = f"{path} is not an object of scorers and numbers"
        yield Fault(code=code, path=path, what=what)
    for scorer, value in _object(given).items():
        if _weight(value) is None:
            what = f"The weight of {scorer!r} is not a finite number"
            yield Fault(code=code, path=f"{path}.{scorer}", what=what)


def _direction_faults(config: Mapping[str, JSON]) -> Iterator[Fault]:
    code, path = "direction-ignored", "scoring_config.directions"
    given = config.get("directions")
    if given is not None and not isinstance(given, dict):
        what = f"{path} is not an object of scorers and directions"
        yield Fault(code=code, path=path, what=what)
    words = [
        (f"{path}.{scorer}", f"of {scorer!r}, {value!r},", value)
        for scorer, value in _object(given).items()
    ]
    if (one := config.get("direction")) is not None:
        words.append(("scoring_config.direction", repr(one), one))
    for where, which, value in words:
        if _direction(value) is None:
            what = f"The direction {which} is neither maximize nor minimize"
            near = get_close_matches(str(value).lower()[:20], _DIRECTIONS, n=1)
            hint = f"; did you mean {_DIRECTIONS[near[0]]}?" if near else ""
            yield Fault(code=code, path=where, what=what, hint=hint)


def _weight_doubts(
    config: Mapping[str, JSON], scores: Mapping[str, float], scorers: frozenset[str]
) -> Iterator[Notice]:
    weights = _object(config.get("weights"))
    for scorer, value in weights.items():
        weight = _weight(value)
        path = f"scoring_config.weights.{scorer}"
        if weight is not None and weight < 0:
            message = (
                f"The weight of {scorer!r} is negative ({weight:g}); "
                "to prefer low values, set its direction to minimize."
            )
            yield _notice("negative-weight", message, path)
        if is_unknown(scorer, scorers):
            yield _unknown_scorer("weights", scorer, scorers, path)
    # Only the winner's scorers, as in weighted_score, and 0 or less is what falls back.
    present = [w for s in scores if (w := _weight(weights.get(s))) is not None]
    if weights and scores and math.fsum(present) <= 0:
        message = "The winner's weights sum to 0 or less: its plain mean counts."
        yield _notice("weights-sum", message, "scoring_config.weights")


def _required_doubts(
    config: Mapping[str, JSON], scorers: frozenset[str]
) -> Iterator[Notice]:
    given = config.get("required")
    if given is not None and (
        not isinstance(given, list) or len(_texts(given)) < len(given)
    ):
        message = (
            "scoring_config.required is not a list of scorers; what is not is ignored."
        )
        yield _notice("required-ignored", message, "scoring_config.required")
    for scorer in _texts(given):
        if is_unknown(scorer, scorers):
            yield _unknown_scorer(
                "required", scorer, scorers, "scoring_config.required"
            )


def is_unknown(scorer: str, scorers: frozenset[str]) -> bool:
    """Return whether no run has a scorer; before there are scores, nobody can say."""
    return bool(scorers) and scorer not in scorers


def unknown_scorer(member: str, scorer: str, scorers: frozenset[str]) -> str:
    """Say that a member of the rule names a scorer that no run has."""
    # get_close_matches compares with every name, and there may be thousands.
    near = get_close_matches(scorer.lower(), sorted(scorers)[:100], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{member} names the scorer {scorer!r}, which no completed run has{hint}"


def _unknown_scorer(
    member: str, scorer: str, scorers: frozenset[str], path: str
) -> Notice:
    return _notice("unknown-scorer", unknown_scorer(member, scorer, scorers), path)


def _direction(value: JSON) -> Direction | None:
    return _DIRECTIONS.get(value.lower()) if isinstance(value, str) else None


def _weight(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        weight = float(value)
    except OverflowError:  # JSON's whole numbers have no limit
        return None
    return weight if math.isfinite(weight) else None


def _object(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _texts(value: JSON) -> list[str]:
    return (
        [one for one in value if isinstance(one, str)]
        if value and isinstance(value, list)
        else []
    )


def _notice(code: str, message: str, path: str = "scoring_config") -> Notice:
    return Notice(code=code, message=message, path=path)
