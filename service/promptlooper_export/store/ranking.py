"""The ranking of an experiment's runs, right at any state of its log.

What counts and how it is weighted is computed in the database, by the migrations. This
module only joins the stored ranking with the runs that are not folded into it yet.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.database import Session

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

_SCORES = "SELECT run_id, scorer_name, value FROM scores WHERE run_id IN ({})"

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


def ranked(session: Session, row: ExperimentRow) -> tuple[str, tuple[object, ...]]:
    """Return a query for every completed run with scores, and its values.

    Its columns: run_id, created (the order of ties), weighted_score (NULL where the run
    does not count), scorers, not_finite.
    """
    key = session.key(row.experiment.id)
    if row.stale:
        return _AGGREGATED[session.kind], (key,)
    return f"{_STORED} UNION ALL {_PENDING[session.kind]}", (key, key)


def top(session: Session, row: ExperimentRow, places: int) -> list[Place]:
    """Return the best runs: by weighted score, then the older, then the smaller id."""
    key = session.key(row.experiment.id)
    kind = session.kind
    counting = "AND weighted_score IS NOT NULL"
    if row.stale:
        sql = (
            f"SELECT * FROM ({_AGGREGATED[kind]}) AS ranked "
            f"WHERE true {counting} {_ORDER} LIMIT ?"
        )
        values: tuple[object, ...] = (key, places)
    else:
        # The limit inside lets the stored part come from its index.
        sql = (
            "SELECT * FROM ("
            f"SELECT * FROM ({_STORED} {counting} {_ORDER} LIMIT ?) AS stored "
            f"UNION ALL {_PENDING[kind]}"
            f") AS ranked WHERE true {counting} {_ORDER} LIMIT ?"
        )
        values = (key, places, key, places)
    return [
        Place(run_id=UUID(str(run_id)), weighted_score=score)
        for run_id, _, score, _, _ in session.all(sql, *values)
    ]


def scores(session: Session, runs: Sequence[UUID]) -> dict[UUID, dict[str, float]]:
    """Return the runs' values for each scorer: the mean of its finite judgements."""
    judgements: dict[UUID, dict[str, list[float]]] = {run: {} for run in runs}
    marks = ", ".join("?" * len(runs))
    found = session.all(_SCORES.format(marks), *map(session.key, runs))
    for run_id, scorer, value in found:
        if is_finite(value):
            judgements[UUID(str(run_id))].setdefault(scorer, []).append(float(value))
    return {
        run: {
            scorer: math.fsum(values) / len(values)
            for scorer, values in sorted(by_scorer.items())
        }
        for run, by_scorer in judgements.items()
    }


def is_finite(value: object) -> bool:
    """Tell whether a judgement counts; SQLite may hold text or NULL in its place."""
    return isinstance(value, int | float) and math.isfinite(value)


def scorer_names(session: Session, row: ExperimentRow) -> set[str]:
    """Return the scorers that any completed run has."""
    key = session.key(row.experiment.id)
    if row.stale:
        sql = f"SELECT DISTINCT scorers FROM ({_AGGREGATED[session.kind]}) AS ranked"
        sets = session.all(sql, key)
    else:
        sets = session.all(_SCORER_SETS, key, key, key)
        pending = f"SELECT DISTINCT scorers FROM ({_PENDING[session.kind]}) AS ranked"
        sets += session.all(pending, key)
    return {
        name
        for (scorers,) in sets
        for name in (json.loads(scorers) if isinstance(scorers, str) else scorers)
    }


def unusable_scores(session: Session, row: ExperimentRow) -> Iterator[Notice]:
    """Name the judgements of completed runs that are NULL, NaN or infinite."""
    key = session.key(row.experiment.id)
    query = (
        "SELECT run_id FROM ({}) AS ranked WHERE not_finite > 0 ORDER BY run_id LIMIT ?"
    )
    most = _NAMED_RUNS + 1
    if row.stale:
        found = session.all(query.format(_AGGREGATED[session.kind]), key, most)
    else:
        stored = f"{_STORED} AND not_finite > 0 ORDER BY run_id LIMIT ?"
        found = session.all(query.format(stored), key, most, most)
        found += session.all(query.format(_PENDING[session.kind]), key, most)
    runs = sorted({UUID(str(run_id)) for (run_id,) in found})
    for run in runs[:_NAMED_RUNS]:
        for scorer, value in session.all(_JUDGEMENTS, session.key(run)):
            if not is_finite(value):
                shown = "NULL" if value is None else value
                yield Notice(
                    code="score-not-finite",
                    message=(
                        f"A score of run {run} by {scorer!r} is {shown} "
                        "and does not count."
                    ),
                    path=f"scores.{scorer}",
                )
    if len(runs) > _NAMED_RUNS:
        yield Notice(
            code="score-not-finite",
            message="Further runs have scores that are not finite and do not count.",
        )
