"""By how much a single weight must change for another run to win."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from promptlooper_export.findings import Crossing, Sensitivity, WeightRange

MOST_SCORERS = 16

_LARGEST = 1e50
"""The products of four larger numbers would leave the range of a double."""

_SAME = 1e-12
"""Crossings that differ by a smaller share are one: rounding tells them apart."""

Values = Mapping[str, float]
"""A run's value for each scorer that it has; higher is better."""


@dataclass(frozen=True, kw_only=True)
class _Mean:
    """A weighted mean if the weight of one scorer grows by u: (a + x u) / (b + y u).

    y is 1 if the run has the scorer, else x and y are 0.
    """

    a: float
    b: float
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A run that passes the winner after a change of the weight.

    `gap` is by how much the winner is ahead there, which is below 0 if the score jumps,
    and `slope` how that changes with the weight.
    """

    distance: float
    gap: float
    slope: float
    run_id: UUID


@dataclass(kw_only=True)
class WeightMap:
    """Compares the winner with runs that come one by one, the oldest first.

    `weights` has one of 0 or more for each scorer, not all of them 0.
    """

    winner: UUID
    values: Values
    weights: Mapping[str, float]
    runs: int = 0
    is_exact: bool = True
    _found: dict[tuple[str, int], _Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compute the winner's means; values that are too large make it inexact."""
        self._check(self.values)
        self._means = {name: self._mean(self.values, name) for name in self.weights}

    def add(self, run_id: UUID, values: Values) -> None:
        """Add the next run that counts."""
        self.runs += 1
        if run_id == self.winner:
            return
        self._check(values)
        for name, ours in self._means.items():
            theirs = self._mean(values, name)
            for direction in (-1, 1):
                found = _crossing(ours, theirs, direction, run_id)
                key = (name, direction)
                if found and _is_nearer(found, self._found.get(key)):
                    self._found[key] = found

    def sensitivity(self) -> Sensitivity | None:
        """Return the crossings, None if a value or weight is too large to tell."""
        if not self.is_exact or max(self.weights.values()) > _LARGEST:
            return None
        return Sensitivity(
            runs=self.runs,
            scorers=tuple(
                WeightRange(
                    scorer=name,
                    weight=weight,
                    lower=self._crossed(name, -1),
                    upper=self._crossed(name, 1),
                )
                for name, weight in sorted(self.weights.items())
            ),
        )

    def _crossed(self, name: str, direction: int) -> Crossing | None:
        found = self._found.get((name, direction))
        if found is None:
            return None
        weight = self.weights[name] + direction * found.distance
        # A weight of 0 is another rule for runs that have no other scorer.
        is_above = weight > _SAME * self.weights[name] or direction > 0
        return Crossing(weight=weight, run_id=found.run_id) if is_above else None

    def _check(self, values: Values) -> None:
        self.is_exact &= all(abs(value) <= _LARGEST for value in values.values())

    def _mean(self, values: Values, name: str) -> _Mean:
        weighed = [one for one in values if self.weights.get(one)]
        if name in values and all(one == name for one in weighed):
            # Whatever the weight is, it counts alone.
            return _Mean(a=values[name], b=1.0, x=0.0, y=0.0)
        if weighed:
            return _Mean(
                a=math.fsum(self.weights[one] * values[one] for one in weighed),
                b=math.fsum(self.weights[one] for one in weighed),
                x=values.get(name, 0.0),
                y=float(name in values),
            )
        # Without a weight that counts, it is the plain mean.
        return _Mean(a=math.fsum(values.values()), b=float(len(values)), x=0.0, y=0.0)


def _crossing(
    ours: _Mean, theirs: _Mean, direction: int, run_id: UUID
) -> _Found | None:
    """Return the least change, in a direction, beyond which the other run is ahead.

    The winner is ahead by (d + e u + f u²) over two denominators above 0. As long as d
    is not below 0, the first root above 0 that leads below 0 is 2d / (sqrt(e² - 4df) -
    e), in a form that loses no digits.
    """
    d = _sum(ours.a * theirs.b, -theirs.a * ours.b)
    e = direction * _sum(
        ours.a * theirs.y, ours.x * theirs.b, -theirs.a * ours.y, -theirs.x * ours.b
    )
    f = _sum(ours.x * theirs.y, -theirs.x * ours.y)
    distance: float | None
    if d < 0:
        distance = 0.0  # with any weight instead of none, the score jumps
    elif d == 0 and e >= 0:
        distance = -e / f if f < 0 else None
    else:
        square = e * e - 4 * d * f
        below = math.sqrt(square) - e if square > 0 else 0.0
        distance = 2 * d / below if below > 0 else None
    if distance is None:
        return None
    u = direction * distance
    over = (ours.b + ours.y * u) * (theirs.b + theirs.y * u)
    return _Found(
        distance=distance,
        gap=min(d, 0.0) / over if over > 0 else 0.0,
        slope=(e + 2 * f * distance) / over if over > 0 else 0.0,
        run_id=run_id,
    )


def _sum(*terms: float) -> float:
    """Return the sum; 0 for what is only rounding."""
    total = math.fsum(terms)
    return total if abs(total) > _SAME * math.fsum(map(abs, terms)) else 0.0


def _is_nearer(found: _Found, known: _Found | None) -> bool:
    """Return whether the run is the first to be ahead, of equal ones the oldest."""
    if known is None or found.distance < known.distance * (1 - _SAME):
        return True
    if found.distance > known.distance * (1 + _SAME):
        return False
    if found.gap != known.gap:
        return found.gap < known.gap
    return found.slope < known.slope - _SAME * abs(known.slope)
