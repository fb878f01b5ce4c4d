"""What one pass over the completed runs of an experiment tells, by the exact rule.

Scores that are added up by a database differ in their last digits; these do not.
"""

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import compress
from uuid import UUID

from promptlooper_export.analysis.distribution import distribute
from promptlooper_export.analysis.parameters import explain
from promptlooper_export.analysis.sensitivity import MOST_SCORERS, WeightMap
from promptlooper_export.analysis.trade_offs import Front
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Distribution, Period, ScorerStatistics
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.findings import (
    Parameters,
    ScorerCoverage,
    Sensitivity,
    TradeOff,
)
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.completed import Batch, read_completed
from promptlooper_export.store.connection import Session
from promptlooper_export.store.decision import Tally
from promptlooper_export.store.judgements import judgements
from promptlooper_export.store.ranking import Ranking, ScoreReader
from promptlooper_export.store.rows import row_id
from promptlooper_export.store.scoring import (
    Rules,
    finite_means,
    is_finite,
)

PERIODS = 50

MOST_SAMPLED = 20_000
"""Of how many runs the configs are read; an even number, since it is halved."""

_LARGEST = 1e150
"""Larger weighted scores are left out: their sums or squares leave a double."""

_NAMED_YEARS = range(-62135596800000000, 253402300800000000)
"""The years 1 to 9999, in microseconds since 1970: those that have names."""

_CONFIGS = "SELECT id, config FROM {runs} AS run WHERE id IN ({marks}) ORDER BY id"

_BATCH = 100
"""Runs whose configs are asked for together."""

_MOST_CHARACTERS = 100_000_000
"""Of how many characters of configs a sample consists at most."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of the completed runs; `parameters` is None if none counts."""

    scorers: tuple[ScorerStatistics, ...]
    history: tuple[Period, ...]
    distribution: Distribution | None
    parameters: Parameters | None
    trade_offs: tuple[TradeOff, ...]
    coverage: tuple[ScorerCoverage, ...]
    sensitivity: Sensitivity | None


def read_survey(
    reader: ScoreReader, rules: Rules, ranking: Ranking, tally: Tally | None
) -> Survey:
    """Go through the completed runs of an experiment, the oldest first.

    The ranking is that of the runs by these rules. The tally counts them on the way.
    """
    session, catalog = reader.session, reader.catalog
    weights = _weight_map(session, catalog, rules, ranking)
    chart, sample, gaps = _Chart(), _Sample(), _Gaps()
    judged = _Judged()
    costs, durations = Front(measure="cost_usd"), Front(measure="duration_ms")
    for batch in read_completed(reader):
        scores = batch.weighted_scores(rules)
        if tally is not None:
            tally.add(batch, scores)
        judged.add(batch)
        gaps.add(batch)
        if weights is not None:
            _compare(weights, rules, batch, scores)
        counts = [score is not None and abs(score) <= _LARGEST for score in scores]
        charted = [score for score in compress(scores, counts) if score is not None]
        ids = list(compress(batch.ids, counts))
        chart.add(list(compress(batch.moments, counts)), charted)
        sample.add(list(compress(batch.keys, counts)), charted)
        costs.add(ids, charted, _numbers(compress(batch.costs, counts)))
        durations.add(ids, charted, _numbers(compress(batch.durations, counts)))
    fronts = (costs.trade_off(), durations.trade_off())
    return Survey(
        scorers=tuple(judged.scorers(rules)),
        history=tuple(chart.periods()),
        distribution=distribute(chart.scores) if chart.scores else None,
        parameters=explain(_configs(session, catalog, sample), runs=sample.seen)
        if sample.seen
        else None,
        trade_offs=tuple(front for front in fronts if front is not None),
        coverage=tuple(gaps.coverage(rules)),
        sensitivity=None if weights is None else weights.sensitivity(),
    )


def _weight_map(
    session: Session, catalog: Catalog, rules: Rules, ranking: Ranking
) -> WeightMap | None:
    """Return what compares the winner's weights.

    None without a winner, with a weight below 0, or with too many scorers.
    """
    weights = {name: rules.weights.get(name, 0.0) for name in ranking.scorers}
    if not ranking.places or len(weights) > MOST_SCORERS or min(weights.values()) < 0:
        return None
    if not any(weights.values()):  # the plain mean counts
        weights = dict.fromkeys(weights, 1.0)
    winner = ranking.places[0]
    judged = judgements(session, catalog, [winner.key])[winner.key]
    return WeightMap(
        winner=winner.run_id,
        values=rules.signed(finite_means(judged)),
        weights=weights,
    )


def _compare(
    weights: WeightMap, rules: Rules, batch: Batch, scores: Sequence[float | None]
) -> None:
    """Compare with the winner the runs that may be near it."""
    near: list[int] = []
    for group in batch.groups:
        columns = {
            scorer: [rules.sign(scorer) * value for value in column]
            for scorer, column in zip(group.scorers, group.columns, strict=True)
        }
        found = weights.near(columns, [scores[place] for place in group.places])
        near += (group.places[number] for number in found)
    for place, values in sorted(batch.values(near).items()):
        weights.add(UUID(batch.ids[place]), rules.signed(values))


def _numbers(cells: Iterable[object]) -> list[float | None]:
    """Return cells as numbers; SQLite may hold anything in them."""
    return [_number(cell) for cell in cells]


def _number(cell: object) -> float | None:
    if cell is None:
        return None
    value = float(cell) if isinstance(cell, Decimal) else cell
    return float(value) if is_finite(value) else None


@dataclass(kw_only=True)
class _Gaps:
    """How many runs and judgements there are by scorer."""

    completed: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    not_finite: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> None:
        """Add completed runs: the scorers that count, and what does not."""
        self.completed += len(batch.keys)
        for group in batch.groups:
            for scorer in group.scorers:
                self.runs[scorer] += len(group.places)
        self.nulls += batch.flaws.nulls
        self.not_finite += batch.flaws.not_finite

    def coverage(self, rules: Rules) -> Iterator[ScorerCoverage]:
        """Yield the scorers that judged anything or are required, by name."""
        names = {*self.runs, *self.nulls, *self.not_finite, *rules.required}
        for name in sorted(names) if self.completed else ():
            yield ScorerCoverage(
                name=name,
                required=name in rules.required,
                runs=self.runs[name],
                missing=self.completed - self.runs[name],
                nulls=self.nulls[name],
                not_finite=self.not_finite[name],
            )


@dataclass(kw_only=True)
class _Judged:
    """What each scorer gave: 8 bytes for each run."""

    values: "dict[str, array[float]]" = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Add the scores of some runs."""
        for scorer, column in batch.columns():
            fitting = [value for value in column if abs(value) <= _LARGEST]
            if fitting:
                self.values.setdefault(scorer, array("d")).extend(fitting)

    def scorers(self, rules: Rules) -> Iterator[ScorerStatistics]:
        """Yield the statistics of every scorer, by name."""
        for name in sorted(self.values):
            found = distribute(self.values[name])
            yield ScorerStatistics(
                name=name,
                direction=rules.direction_of(name),
                weight=rules.weights.get(name),
                required=name in rules.required,
                values=found.values,
                histogram=found.histogram,
            )


@dataclass(kw_only=True)
class _Chart:
    """Weighted scores over time: 16 bytes for each run, in the order of time.

    `undated` runs come first; any that are after the last year that has a name, last.
    """

    moments: "array[int]" = field(default_factory=lambda: array("q"))
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    undated: int = 0

    def add(self, moments: Sequence[int | None], scores: Sequence[float]) -> None:
        """Add the next runs."""
        self.scores.extend(scores)
        named = [one for one in moments if one is not None and one in _NAMED_YEARS]
        if not self.moments:
            self.undated += moments.index(named[0]) if named else len(moments)
        self.moments.extend(named)

    def periods(self) -> Iterator[Period]:
        """Yield the scores of equal stretches of time that have any."""
        if not self.moments:
            return
        low, high = self.moments[0], self.moments[-1]
        width = (high - low) / PERIODS
        best_so_far = -math.inf
        start = 0
        for number in range(PERIODS):
            end = bisect_left(self.moments, low + (number + 1) * width, start)
            # The last period includes its upper edge, where the last run is.
            if number == PERIODS - 1:
                end = len(self.moments)
            found = self.scores[self.undated + start : self.undated + end]
            start = end
            if not found:
                continue
            best_so_far = max(best_so_far, *found)
            yield Period(
                start=datetime.fromtimestamp((low + number * width) / 1e6, UTC),
                end=datetime.fromtimestamp((low + (number + 1) * width) / 1e6, UTC),
                count=len(found),
                best=max(found),
                mean=math.fsum(found) / len(found),
                best_so_far=best_so_far,
            )


@dataclass(kw_only=True)
class _Sample:
    """Every n-th of the runs that count, at most MOST_SAMPLED of those `seen`."""

    keys: list[object] = field(default_factory=list)
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    seen: int = 0
    step: int = 1

    def add(self, keys: Sequence[object], scores: Sequence[float]) -> None:
        """Add the next runs."""
        place = -self.seen % self.step
        while place < len(keys):
            if len(self.keys) == MOST_SAMPLED:
                del self.keys[1::2]
                del self.scores[1::2]
                self.step *= 2
            self.keys.append(keys[place])
            self.scores.append(scores[place])
            place += self.step
        self.seen += len(keys)

    def spread(self) -> list[int]:
        """Return the places of the sample so that those first come from everywhere.

        By multiples of the golden ratio, which spread evenly however many are taken
        (Knuth, The Art of Computer Programming 3, section 6.4, theorem S).
        """
        return sorted(
            range(len(self.keys)), key=lambda place: place * 0x9E3779B1 & 0xFFFFFFFF
        )


def _configs(
    session: Session, catalog: Catalog, sample: _Sample
) -> Iterator[tuple[Mapping[str, JSON], float]]:
    """Yield the valid configs of a sample, and the scores of their runs."""
    characters = 0
    order = sample.spread()
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        scores = {sample.keys[place]: sample.scores[place] for place in batch}
        sql = _CONFIGS.format(runs=catalog.runs, marks=", ".join("?" * len(batch)))
        for key, text in session.stream(sql, *scores):
            characters += len(text or "")
            try:
                config, _ = decode_config(text, row_id(key, "runs"))
            except InvalidConfigError:
                continue  # the warnings of the runs name it
            yield config, scores[key]
        if characters > _MOST_CHARACTERS:
            return
