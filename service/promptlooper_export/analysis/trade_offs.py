"""Runs that no other run beats on both the score and what it costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from promptlooper_export.findings import Measure, TradeOff, TradeOffPoint

_MOST_POINTS = 20

_MOST_SAMPLED = 200
"""Of how many runs a sample consists; an even number, since it is halved."""

_BATCH = 1_000
"""Runs that are collected before those that are beaten are dropped."""


@dataclass(kw_only=True)
class Front:
    """The Pareto front of score against one measure, of runs that come by and by."""

    measure: Measure
    runs: int = 0
    without: int = 0
    _found: list[tuple[float, float, int, str]] = field(default_factory=list)
    _enough: int = _BATCH
    _sample: list[tuple[float, float, str]] = field(default_factory=list)
    _seen: int = 0
    _step: int = 1

    def add(
        self,
        run_ids: Sequence[str],
        scores: Sequence[float],
        values: Sequence[float | None],
    ) -> None:
        """Add the next runs, whose values are None if they are not known."""
        first = self.runs + 1
        self.runs += len(values)
        known = [
            (value, -score, number, run_id)
            for number, (run_id, score, value) in enumerate(
                zip(run_ids, scores, values, strict=True), start=first
            )
            if value is not None
        ]
        self.without += len(values) - len(known)
        number = -self._seen % self._step
        while number < len(known):
            if len(self._sample) == _MOST_SAMPLED:
                del self._sample[1::2]
                self._step *= 2
            value, negative, _, run_id = known[number]
            self._sample.append((-negative, value, run_id))
            number += self._step
        self._seen += len(known)
        self._found += known
        # Twice the front, so that a long one is not sorted again for each run.
        if len(self._found) >= self._enough:
            self._drop_beaten()
            self._enough = 2 * len(self._found) + _BATCH

    def trade_off(self) -> TradeOff | None:
        """Return the front, None if no run has a value."""
        self._drop_beaten()
        count = len(self._found)
        if not count:
            return None
        shown = min(count, _MOST_POINTS)
        # With both ends: the cheapest run and the one with the highest score.
        places = [step * (count - 1) // max(1, shown - 1) for step in range(shown)]
        return TradeOff(
            measure=self.measure,
            runs=self.runs,
            without=self.without,
            count=count,
            points=tuple(
                _point(run_id, -negative, value)
                for value, negative, _, run_id in (
                    self._found[place] for place in reversed(places)
                )
            ),
            others=tuple(
                _point(run_id, score, value) for score, value, run_id in self._sample
            ),
        )

    def _drop_beaten(self) -> None:
        """Keep a run if its score is higher than that of each one before it.

        Sorted, the cheapest comes first, of these the one with the highest score, and
        of equal ones the oldest.
        """
        kept = []
        lowest = math.inf
        for point in sorted(self._found):
            if point[1] < lowest:
                lowest = point[1]
                kept.append(point)
        self._found = kept


def _point(run_id: str, score: float, value: float) -> TradeOffPoint:
    return TradeOffPoint(run_id=UUID(run_id), weighted_score=score, value=value)
