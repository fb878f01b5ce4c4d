"""The ranking of an experiment's runs, right at any state of its log.

What counts and how it is weighted is computed in the database, by the migrations. This
module only joins the stored ranking with the runs that are not folded into it yet.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeGuard
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.cells import label, row_id
from promptlooper_export.store.database import Row, Session

_STORED = """
SELECT run_id, created, weighted_score, scorers, not_finite FROM export_ranking
WHERE experiment_id = ?
    AND NOT EXISTS (
        SELECT 1 FROM export_ranking_log
        WHERE export_ranking_log.run_id = export_ranking.run_id
    )
"""

# The unary plus keeps SQLite from reading all runs by their experiment.
_PENDING = {
    "sqlite": """
SELECT run_id, created, weighted_score, scorers, not_finite FROM export_run_ranking
WHERE run_id IN (SELECT run_id FROM export_ranking_log) AND +experiment_id = ?
""",
    "postgresql": """
SELECT run_id, created, weighted_score, scorers, not_finite
FROM (
    SELECT array_agg(DISTINCT runs.id) AS logged
    FROM export_ranking_log
    JOIN runs ON runs.id = export_ranking_log.run_id
    WHERE runs.experiment_id = ?
) AS log
CROSS JOIN LATERAL export_rank_many(logged)
WHERE logged IS NOT NULL
""",
}

# After new weights, until the ranking is rebuilt.
_AGGREGATED = {
    "sqlite": """
SELECT run_id, created, weighted_score, scorers, not_finite FROM export_run_ranking
WHERE experiment_id = ?
""",
    "postgresql": """
SELECT run_id, created, weighted_score, scorers, not_finite
FROM export_rank_many(ARRAY(SELECT id FROM runs WHERE experiment_id = ?))
""",
}

_ORDER = "ORDER BY weighted_score DESC, created, run_id"

_SCORES = """
SELECT run_id, scorer_name, value FROM scores WHERE run_id IN ({}) ORDER BY id
"""

_JUDGEMENTS = "SELECT scorer_name, value FROM scores WHERE run_id = ?"

_SCORER_SETS = """
WITH RECURSIVE kept (scorers) AS (
    SELECT min(scorers) FROM export_ranking WHERE experiment_id = ?
    UNION ALL
    SELECT (
        SELECT min(export_ranking.scorers) FROM export_ranking
        WHERE experiment_id = ? AND export_ranking.scorers > kept.scorers
    )
    FROM kept
    WHERE kept.scorers IS NOT NULL
)
SELECT scorers FROM kept
WHERE EXISTS (
    SELECT 1 FROM export_ranking
    WHERE experiment_id = ?
        AND export_ranking.scorers = kept.scorers
        AND NOT EXISTS (
            SELECT 1 FROM export_ranking_log
            WHERE export_ranking_log.run_id = export_ranking.run_id
        )
)
"""

_NAMED_RUNS = 10
"""How many runs with unusable scores a warning names; the rest are summed up."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A run that counts, and its weighted score."""

    run_id: UUID
    weighted_score: float


class Ranking:
    """The ranking of one experiment in one snapshot."""

    def __init__(self, session: Session, row: ExperimentRow) -> None:
        self._session = session
        self._row = row
        self._key = session.key(row.experiment.id)
        self._pending: list[Row] = []
        if row.logged and not row.stale:
            self._pending = session.all(_PENDING[session.kind], self._key)

    def top(self, places: int) -> list[Place]:
        """Return the best runs: by weighted score, then age, then the smaller id."""
        # The condition and the order are those of an index.
        best = f"weighted_score IS NOT NULL {_ORDER} LIMIT ?"
        if self._row.stale:
            aggregated = _AGGREGATED[self._session.kind]
            sql = f"SELECT * FROM ({aggregated}) AS ranked WHERE {best}"
        else:
            sql = f"{_STORED} AND {best}"
        rows = self._session.all(sql, self._key, places)
        rows += [row for row in self._pending if row[2] is not None]
        return [
            Place(run_id=row_id(row[0], "runs"), weighted_score=row[2])
            for row in nsmallest(places, rows, key=_precedence)
        ]

    def scorer_names(self) -> set[str]:
        """Return the scorers that any completed run has."""
        if self._row.stale:
            aggregated = _AGGREGATED[self._session.kind]
            sql = f"SELECT DISTINCT scorers FROM ({aggregated}) AS ranked"
            sets = self._session.all(sql, self._key)
        else:
            sets = self._session.all(_SCORER_SETS, *[self._key] * 3)
            sets += [(row[3],) for row in self._pending]
        return {
            label(name)
            for (scorers,) in sets
            for name in (json.loads(scorers) if isinstance(scorers, str) else scorers)
        }

    def unusable_scores(self) -> Iterator[Notice]:
        """Name the judgements of completed runs that are NULL, NaN or infinite."""
        some = "not_finite > 0 ORDER BY run_id LIMIT ?"
        if self._row.stale:
            aggregated = _AGGREGATED[self._session.kind]
            sql = f"SELECT * FROM ({aggregated}) AS ranked WHERE {some}"
        else:
            sql = f"{_STORED} AND {some}"
        rows = self._session.all(sql, self._key, _NAMED_RUNS + 1)
        rows += [row for row in self._pending if row[4] > 0]
        runs = sorted({row_id(row[0], "runs") for row in rows})
        for run in runs[:_NAMED_RUNS]:
            yield from _unusable(self._session, run)
        if len(runs) > _NAMED_RUNS:
            yield Notice(
                code="score-not-finite",
                message="Further runs have scores that are not finite: none counts.",
            )


def ranked(session: Session, row: ExperimentRow) -> tuple[str, tuple[object, ...]]:
    """Return a query for every completed run with scores, and its values.

    Its columns: run_id, created (the order of ties), weighted_score (NULL where the run
    does not count), scorers, not_finite.
    """
    key = session.key(row.experiment.id)
    if row.stale:
        return _AGGREGATED[session.kind], (key,)
    return f"{_STORED} UNION ALL {_PENDING[session.kind]}", (key, key)


def judgements(
    session: Session, runs: Sequence[UUID]
) -> dict[UUID, dict[str, list[object]]]:
    """Return what each scorer gave each of the runs, whether it counts or not.

    The scorers are sorted, their judgements in the order in which they were given.
    """
    judged: dict[object, dict[str, list[object]]] = {
        session.key(run): {} for run in runs
    }
    marks = ", ".join("?" * len(runs))
    for key, scorer, value in session.all(_SCORES.format(marks), *judged):
        judged[key].setdefault(label(scorer), []).append(value)
    return {
        run: dict(sorted(found.items()))
        for run, found in zip(runs, judged.values(), strict=True)
    }


def scores(session: Session, runs: Sequence[UUID]) -> dict[UUID, dict[str, float]]:
    """Return the runs' values for each scorer: the mean of its finite judgements."""
    return {
        run: {
            scorer: mean(finite)
            for scorer, values in judged.items()
            if (finite := [value for value in values if is_finite(value)])
        }
        for run, judged in judgements(session, runs).items()
    }


def mean(values: Sequence[float]) -> float:
    """Return the mean of repeated judgements."""
    return math.fsum(values) / len(values)


def _precedence(row: Row) -> tuple[float, bool, object, str]:
    run_id, created, weighted_score, _, _ = row
    # SQLite puts a time that it cannot read, NULL, before all others.
    return -weighted_score, created is not None, created, str(run_id)


def not_finite(run: UUID, scorer: str, value: object) -> Notice:
    """Name a judgement that is NULL, NaN or infinite."""
    shown = "NULL" if value is None else label(value)
    return Notice(
        code="score-not-finite",
        message=f"A score of run {run} by {scorer!r} is {shown} and does not count.",
        path=f"scores.{scorer}",
    )


def is_finite(value: object) -> TypeGuard[float]:
    """Tell whether a judgement counts; SQLite may hold text or NULL in its place."""
    return isinstance(value, int | float) and math.isfinite(value)


def _unusable(session: Session, run: UUID) -> Iterator[Notice]:
    for scorer, value in session.all(_JUDGEMENTS, session.key(run)):
        if not is_finite(value):
            yield not_finite(run, label(scorer), value)
