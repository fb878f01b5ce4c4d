"""By how much a single weight must change for another run to win."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from promptlooper_export.findings import Crossing, Sensitivity, WeightRange

MOST_SCORERS = 16

_LARGEST = 1e50
"""The products of four larger numbers would leave the range of a double."""

_SAME = 1e-12
"""Crossings that differ by a smaller share are one: rounding tells them apart."""

_NEAR_BY = 1e-6
_MOST_OF_ALL = 0.99
_SLACK = 1e-8
"""What rounding may do, and much more: see WeightMap.near.

A run is left out if its lead is surely above 0 as far as the known distance. This is
sure enough only if the lead's two roots, one of them at the sum of all weights, are far
from each other.
"""

Values = Mapping[str, float]
"""A run's value for each scorer that it has; higher is better."""


class _Mean(NamedTuple):
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


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """How far behind runs may be for their values in a column; `furthest` of all."""

    column: Sequence[float]
    ours: float
    up: float
    down: float
    furthest: float
    size: float

    def of(self, number: int) -> float:
        """Return how far behind a run may be, 0 if its value is the winner's."""
        apart = self.column[number] - self.ours
        if apart > 0:
            return self.up * apart
        return -self.down * apart if apart < 0 else 0.0


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
        """Compute the winner's means; what is too large makes it inexact."""
        self._check(self.weights)
        self._check(self.values)
        self._means = (
            dict(zip(self.weights, self._means_of(self.values), strict=True))
            if self.is_exact
            else {}
        )

    def near(
        self, columns: Mapping[str, Sequence[float]], scores: Sequence[float | None]
    ) -> list[int]:
        """Return the numbers of the next runs that are to be added; all are counted.

        The runs have values, in the columns, for the same scorers. Their weighted
        scores are None unless they count. Nearly all are too far behind the winner to
        pass it before those that do already, which their scores alone tell.
        """
        self.runs += len(scores) - scores.count(None)
        if not self.is_exact:
            return []
        counted = [number for number, score in enumerate(scores) if score is not None]
        weights = {name: self.weights.get(name, 0.0) for name in self.values}
        weighed = [name for name in self.values if weights[name]]
        if columns.keys() != self.values.keys() or not weighed:
            return counted
        total = math.fsum(weights[name] for name in weighed)
        heaviest = max(weights[name] for name in weighed)
        if len(weighed) > 1 and heaviest > _MOST_OF_ALL * total:
            return counted
        if max(map(_size, columns.values())) > _LARGEST:
            return counted
        reaches = [
            self._reach(name, columns[name], total)
            for name in self.values
            if weighed != [name]  # else it counts alone, whatever the weight is
        ]
        size = math.fsum(weights[name] * _size(columns[name]) for name in weighed)
        ours = math.fsum(weights[name] * self.values[name] for name in weighed)
        size += abs(ours) + max((one.size for one in reaches), default=0.0)
        slack = _SLACK * size
        furthest = max((one.furthest for one in reaches), default=0.0)
        behind = [
            (number, lead)
            for number, score in enumerate(scores)
            if score is not None and (lead := ours - slack - score * total) <= furthest
        ]
        return [
            number
            for number, lead in behind
            if lead <= 0 or any(lead <= reach.of(number) for reach in reaches)
        ]

    def _reach(self, name: str, column: Sequence[float], total: float) -> "_Reach":
        """Return how far behind a run may be to pass the winner before known ones.

        If a run has the scorers of the winner, it passes when the weight grows by their
        distance in the sums of weighted values, divided by how much higher its value
        is; when the weight falls, by how much lower.
        """
        ours, weight = self.values[name], self.weights.get(name, 0.0)
        up = self._distance(name, 1)
        # Beyond the weight itself, there is nothing to take away.
        down = min(self._distance(name, -1), weight * (1 + _NEAR_BY))
        if up > total / _NEAR_BY:
            up = math.inf
        low, high = min(column), max(column)
        furthest = max(
            up * (high - ours) if high > ours else 0.0,
            down * (ours - low) if low < ours else 0.0,
        )
        far = max(total, down, up if up < math.inf else 0.0)
        return _Reach(
            column=column,
            ours=ours,
            up=up,
            down=down,
            furthest=furthest,
            size=2 * far * max(_size(column), abs(ours)),
        )

    def _distance(self, name: str, direction: int) -> float:
        found = self._found.get((name, direction))
        return found.distance if found else math.inf

    def add(self, run_id: UUID, values: Values) -> None:
        """Compare the next run that counts."""
        if run_id == self.winner:
            return
        self._check(values)
        if not self.is_exact:
            return
        means = zip(self._means.items(), self._means_of(values), strict=True)
        for (name, ours), theirs in means:
            d, e, f = _lead(ours, theirs)
            for direction in (-1, 1):
                distance = _distance(d, direction * e, f)
                known = self._found.get((name, direction))
                # Most runs are further away, which is quickly seen.
                if distance is None or (
                    known and distance > known.distance * (1 + _SAME)
                ):
                    continue
                u = direction * distance
                over = (ours.b + ours.y * u) * (theirs.b + theirs.y * u)
                slope = direction * e + 2 * f * distance
                found = _Found(
                    distance=distance,
                    gap=min(d, 0.0) / over if over > 0 else 0.0,
                    slope=slope / over if over > 0 else 0.0,
                    run_id=run_id,
                )
                if known is None or _is_nearer(found, known):
                    self._found[name, direction] = found

    def sensitivity(self) -> Sensitivity | None:
        """Return the crossings, None if a value or weight is too large to tell."""
        if not self.is_exact:
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

    def _means_of(self, values: Values) -> Iterator[_Mean]:
        """Yield the run's mean as it depends on each scorer's weight."""
        weights = self.weights
        weighed = [name for name in values if weights.get(name)]
        a = math.fsum(weights[name] * values[name] for name in weighed)
        b = math.fsum(weights[name] for name in weighed)
        # Without a weight that counts, it is the plain mean.
        plain = _Mean(math.fsum(values.values()), float(len(values)), 0.0, 0.0)
        for name in weights:
            if name not in values:
                yield _Mean(a, b, 0.0, 0.0) if weighed else plain
            elif not weighed or weighed == [name]:
                # Whatever the weight is, it counts alone.
                yield _Mean(values[name], 1.0, 0.0, 0.0)
            else:
                yield _Mean(a, b, values[name], 1.0)


def _size(column: Sequence[float]) -> float:
    return max(abs(max(column)), abs(min(column)))


def _lead(ours: _Mean, theirs: _Mean) -> tuple[float, float, float]:
    """Return d, e and f: the winner is ahead by d + e u + f u².

    This is over the product of two denominators that are above 0.
    """
    return (
        _sum(ours.a * theirs.b, -theirs.a * ours.b),
        _sum(
            ours.a * theirs.y,
            ours.x * theirs.b,
            -theirs.a * ours.y,
            -theirs.x * ours.b,
        ),
        _sum(ours.x * theirs.y, -theirs.x * ours.y),
    )


def _distance(d: float, e: float, f: float) -> float | None:
    """Return the least u of 0 or more beyond which d + e u + f u² is below 0.

    The first root that leads below 0 is 2d / (sqrt(e² - 4df) - e), in a form that loses
    no digits.
    """
    if d < 0:
        return 0.0  # with any weight instead of none, the score jumps
    if d == 0 and e >= 0:
        return -e / f if f < 0 else None
    square = e * e - 4 * d * f
    below = math.sqrt(square) - e if square > 0 else 0.0
    return 2 * d / below if below > 0 else None


def _sum(*terms: float) -> float:
    """Return the sum; 0 for what is only rounding."""
    total = sum(terms)
    return total if abs(total) > _SAME * sum(map(abs, terms)) else 0.0


def _is_nearer(found: _Found, known: _Found) -> bool:
    """Return whether the run is the first to be ahead, of equal ones the oldest."""
    if found.distance < known.distance * (1 - _SAME):
        return True
    if found.gap != known.gap:
        return found.gap < known.gap
    return found.slope < known.slope - _SAME * abs(known.slope)
