"""The completed runs of an experiment in batches, with their scores by scorer.

Whoever goes over all runs does so by columns of some hundred runs, which takes a small
part of the time that it takes run by run.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from promptlooper_export.store.connection import Row
from promptlooper_export.store.ranking import ALL_COMPLETED, ScoreReader
from promptlooper_export.store.rows import ids_as_text, label
from promptlooper_export.store.scoring import (
    Rules,
    finite_means,
    is_finite,
    mean,
    weighted_scores,
)

_BATCH = 500

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
    sql = ALL_COMPLETED.format(runs=catalog.runs, experiment=reader.experiment)
    rows = session.stream(sql, *reader.values)
    while runs := list(islice(rows, _BATCH)):
        keys, moments, costs, durations = zip(*runs, strict=True)
        owners = catalog.owners(session, "scores", keys)
        marks = ", ".join("?" * len(owners))
        sql = _SCORES.format(scores=catalog.scores, marks=marks)
        scores = session.all(sql, *owners)
        at = {key: place for place, key in enumerate(keys)}
        places = {spelled: at[key] for spelled, key in owners.items()}
        alike = _all_alike(scores, places, len(keys))
        flaws = Flaws()
        yield Batch(
            keys=keys,
            ids=ids_as_text(keys, "runs"),
            moments=moments,
            costs=costs,
            durations=durations,
            groups=[alike] if alike else _groups(scores, places, len(keys), flaws),
            flaws=flaws,
        )


def _all_alike(
    rows: Sequence[Row], places: Mapping[object, int], count: int
) -> Alike | None:
    """Return `count` runs if each was judged once by the same scorers, as most are.

    None for runs that differ and for scores that do not count.
    """
    if not rows:
        return None
    ids, names, values = zip(*rows, strict=True)
    size = next((n for n, one in enumerate(ids) if one != ids[0]), len(ids))
    firsts, pattern = ids[::size], names[:size]
    order = [places[one] for one in firsts]
    scorers = list(map(label, pattern))
    if (
        not len(order) == len(set(order)) == count
        or names != pattern * len(firsts)
        or len(set(scorers)) < size
        or any(ids[start::size] != firsts for start in range(1, size))
        or not {float, int}.issuperset(map(type, values))
        or not math.isfinite(sum(values))
    ):
        return None
    ranks = sorted(range(len(order)), key=order.__getitem__)
    columns = {}
    for start, scorer in enumerate(scorers):
        column = values[start::size]
        columns[scorer] = [float(column[rank]) for rank in ranks]
        if 0.0 in columns[scorer]:  # the mean of -0.0 is 0.0
            columns[scorer] = [one or mean([one]) for one in columns[scorer]]
    names = tuple(sorted(columns))
    return Alike(
        places=range(len(order)),
        scorers=names,
        columns=[columns[name] for name in names],
    )


def _groups(
    rows: Sequence[Row], places: Mapping[object, int], count: int, flaws: Flaws
) -> list[Alike]:
    """Put together the runs that are alike; note what does not count."""
    judged: list[dict[str, list[object]]] = [{} for _ in range(count)]
    for key, scorer, value in rows:
        judged[places[key]].setdefault(label(scorer), []).append(value)
    groups: dict[tuple[str, ...], tuple[list[int], list[list[float]]]] = {}
    for place, unsorted in enumerate(judged):
        found = dict(sorted(unsorted.items()))
        values = finite_means(found)
        of_group = groups.setdefault(tuple(values), ([], []))
        of_group[0].append(place)
        of_group[1].append(list(values.values()))
        for scorer, given in found.items():
            flaws.note(scorer, given)
    return [
        Alike(
            places=numbers,
            scorers=scorers,
            columns=list(zip(*found_values, strict=True)),
        )
        for scorers, (numbers, found_values) in groups.items()
    ]


def exact_scores(reader: ScoreReader, rules: Rules) -> Iterator[float | None]:
    """Yield the weighted score of every completed run, the oldest first."""
    for batch in read_completed(reader):
        yield from batch.weighted_scores(rules)
