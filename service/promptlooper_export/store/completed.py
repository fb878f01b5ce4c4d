"""The completed runs of an experiment in batches, with their scores by scorer.

Whoever goes over all runs does so by columns of some hundred runs, which takes a small
part of the time that it takes run by run.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, islice
from typing import Any, TypeAlias

from promptlooper_export.store.connection import Row
from promptlooper_export.store.ranking import ScoreReader
from promptlooper_export.store.rows import ids_as_text, label
from promptlooper_export.store.scoring import (
    Rules,
    finite_means,
    is_finite,
    mean,
    weighted_scores,
)

_BATCH = 500

_Part: TypeAlias = tuple[list[int], list[list[float]]]
"""Places of runs, and what each of some scorers gave them."""

# The runs come one after the other, each in the runner's order.
_SCORES = """
SELECT run_id, scorer_name, value FROM {scores} AS score
WHERE run_id IN ({marks}) ORDER BY run_id, place
"""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Runs of a batch that have finite scores by the same scorers.

    `places` are theirs in the batch, in its order; `scorers` are sorted, and `columns`
    has the values of each.
    """

    places: Sequence[int]
    scorers: tuple[str, ...]
    columns: Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Flaws:
    """How many judgements do not count, by scorer."""

    nulls: Counter[str] = field(default_factory=Counter)
    not_finite: Counter[str] = field(default_factory=Counter)

    def note(self, scorer: str, judgements: Sequence[object]) -> None:
        """Count those of some judgements that do not count."""
        for judgement in judgements:
            if judgement is None:
                self.nulls[scorer] += 1
            elif not is_finite(judgement):
                self.not_finite[scorer] += 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Completed runs, the oldest first; their cells are as stored.

    `keys` are ids as stored, `ids` the same as text. `moments` are in microseconds
    since 1970. Each run is in one of `groups`; `flaws` are of all.
    """

    keys: Sequence[object]
    ids: Sequence[str]
    moments: Sequence[int | None]
    costs: Sequence[Any]
    durations: Sequence[Any]
    groups: Sequence[Alike]
    flaws: Flaws

    def weighted_scores(self, rules: Rules) -> list[float | None]:
        """Return the weighted score of each run, None if it does not count."""
        scores: list[float | None] = [None] * len(self.keys)
        for group in self.groups:
            found = weighted_scores(rules, group.scorers, group.columns)
            for place, score in zip(group.places, found, strict=False):
                scores[place] = score
        return scores

    def values(self, places: Iterable[int]) -> dict[int, dict[str, float]]:
        """Return the scores of the runs at some places, by place."""
        wanted = set(places)
        return {
            place: {
                scorer: column[number]
                for scorer, column in zip(group.scorers, group.columns, strict=True)
            }
            for group in self.groups
            for number, place in enumerate(group.places)
            if place in wanted
        }

    def columns(self) -> Iterator[tuple[str, Sequence[float]]]:
        """Yield each scorer with what it gave, in the order of the runs."""
        if len(self.groups) == 1:
            (group,) = self.groups
            yield from zip(group.scorers, group.columns, strict=True)
            return
        found: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for group in self.groups:
            for scorer, column in zip(group.scorers, group.columns, strict=True):
                found[scorer] += zip(group.places, column, strict=True)
        for scorer, pairs in found.items():
            yield scorer, [value for _, value in sorted(pairs)]


def read_completed(reader: ScoreReader) -> Iterator[Batch]:
    """Yield every completed run, the oldest first."""
    session, catalog = reader.session, reader.catalog
    rows = reader.all_completed()
    while runs := list(islice(rows, _BATCH)):
        keys, moments, costs, durations = zip(*runs, strict=True)
        owners = catalog.owners(session, "scores", keys)
        marks = ", ".join("?" * len(owners))
        sql = _SCORES.format(scores=catalog.scores, marks=marks)
        scores = session.all(sql, *owners)
        at = {key: place for place, key in enumerate(keys)}
        places = {spelled: at[key] for spelled, key in owners.items()}
        flaws = Flaws()
        yield Batch(
            keys=keys,
            ids=ids_as_text(keys, "runs"),
            moments=moments,
            costs=costs,
            durations=durations,
            groups=_groups(scores, places, len(keys), flaws),
            flaws=flaws,
        )


def _groups(
    rows: Sequence[Row], places: Mapping[object, int], count: int, flaws: Flaws
) -> list[Alike]:
    """Put together the runs that are alike; note what does not count.

    The rows come run by run. Nearly all runs were judged once by each of some scorers,
    which the names in their rows tell. The others are looked at one by one.
    """
    others = set(range(count))
    parts: dict[tuple[str, ...], list[_Part]] = defaultdict(list)
    for scorers, part in _judged_once(rows, places):
        parts[scorers].append(part)
        others.difference_update(part[0])
    if others:
        for scorers, part in _one_by_one(rows, places, others, flaws):
            parts[scorers].append(part)
    return [_alike(scorers, found) for scorers, found in parts.items()]


def _judged_once(
    rows: Sequence[Row], places: Mapping[object, int]
) -> Iterator[tuple[tuple[str, ...], _Part]]:
    """Yield runs that each scorer judged once, by their scorers, which are sorted."""
    ids, names, values = zip(*rows, strict=True) if rows else ((), (), ())
    sizes = Counter(ids)
    of_runs = [places[one] for one in sizes]
    # A run's rows may be apart if its id is spelled in several ways.
    if len(set(of_runs)) < len(of_runs) or list(sizes.elements()) != list(ids):
        return
    is_plain = _is_plain(values)
    starts = accumulate(sizes.values(), initial=0)
    found: dict[tuple[object, ...], tuple[list[int], list[int]]] = {}
    for place, size, start in zip(of_runs, sizes.values(), starts, strict=False):
        if is_plain or _is_plain(values[start : start + size]):
            pattern = found.setdefault(names[start : start + size], ([], []))
            pattern[0].append(place)
            pattern[1].append(start)
    for pattern_names, (numbers, firsts) in found.items():
        scorers = list(map(label, pattern_names))
        if len(set(scorers)) == len(scorers):
            order = sorted(range(len(scorers)), key=scorers.__getitem__)
            columns = [[float(values[n + step]) for n in firsts] for step in order]
            yield tuple(sorted(scorers)), (numbers, columns)


def _is_plain(values: Sequence[object]) -> bool:
    """Return whether all values are finite; large ones may be held not to be."""
    return {float, int}.issuperset(map(type, values)) and math.isfinite(sum(values))  # type: ignore[arg-type]


def _one_by_one(
    rows: Sequence[Row], places: Mapping[object, int], wanted: set[int], flaws: Flaws
) -> Iterator[tuple[tuple[str, ...], _Part]]:
    """Yield the runs at some places, by their scorers; note what does not count."""
    judged: dict[int, dict[str, list[object]]] = {place: {} for place in wanted}
    for key, scorer, value in rows:
        if (of_run := judged.get(places[key])) is not None:
            of_run.setdefault(label(scorer), []).append(value)
    for place, unsorted in judged.items():
        found = dict(sorted(unsorted.items()))
        values = finite_means(found)
        yield tuple(values), ([place], [[value] for value in values.values()])
        for scorer, given in found.items():
            flaws.note(scorer, given)


def _alike(scorers: tuple[str, ...], parts: Sequence[_Part]) -> Alike:
    """Join parts of a batch whose runs have the same scorers."""
    places = list(chain.from_iterable(numbers for numbers, _ in parts))
    ranks = sorted(range(len(places)), key=places.__getitem__)
    columns = []
    for number in range(len(scorers)):
        joined = list(chain.from_iterable(part[number] for _, part in parts))
        column = [joined[rank] for rank in ranks]
        if 0.0 in column:  # the mean of -0.0 is 0.0
            column = [one or mean([one]) for one in column]
        columns.append(column)
    return Alike(
        places=[places[rank] for rank in ranks], scorers=scorers, columns=columns
    )


def exact_scores(reader: ScoreReader, rules: Rules) -> Iterator[float | None]:
    """Yield the weighted score of every completed run, the oldest first."""
    for batch in read_completed(reader):
        yield from batch.weighted_scores(rules)
