"""The reference: the winner as a web framework and an ORM find it without this project.

Every completed run is read with its scores, and weighed in Python.
"""

import math
from collections.abc import Mapping
from uuid import UUID

from peewee import prefetch

from promptlooper_export.store.columns import TABLES, Run, Score
from promptlooper_export.store.connection import open_for_reading


def winner(url: str, experiment: UUID, weights: Mapping[str, float]) -> UUID:
    """Return the id of the winner."""
    database = open_for_reading(url)
    with database.bind_ctx(TABLES), database.connection_context():
        completed = Run.select().where(
            (Run.experiment == experiment) & (Run.status == "completed")
        )
        scored = [
            (weighted_score(run.score_set, weights), run.id)
            for run in prefetch(completed, Score.select())
            if run.score_set
        ]
    database.close()
    best: UUID = max(scored)[1]
    return best


def weighted_score(scores: list[Score], weights: Mapping[str, float]) -> float:
    """Return the weighted mean of a run's scores."""
    weighed = [
        (score.value or 0.0, weights[score.scorer_name])
        for score in scores
        if score.scorer_name in weights
    ]
    total = math.fsum(weight for _, weight in weighed)
    return math.fsum(value * weight for value, weight in weighed) / total
