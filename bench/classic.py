"""The reference: the winner as a web framework and an ORM find it without this project.

Every completed run is read with its scores, and weighed in Python.
"""

import math
from collections.abc import Mapping
from uuid import UUID

from peewee import (
    BigAutoField,
    BigIntegerField,
    DateTimeField,
    DoubleField,
    ForeignKeyField,
    Model,
    TextField,
    UUIDField,
    prefetch,
)

from promptlooper_export.store.connection import open_for_reading


class Run(Model):
    """A run, with every column that a web framework's model would load."""

    id = UUIDField(primary_key=True)
    experiment_id = UUIDField()
    name = TextField(null=True)
    status = TextField()
    config = TextField()
    config_hash = TextField()
    tokens_in = BigIntegerField(null=True)
    tokens_out = BigIntegerField(null=True)
    duration_ms = BigIntegerField(null=True)
    cost_usd = DoubleField(null=True)
    error = TextField(null=True)
    tags = TextField(null=True)
    created_at = DateTimeField(null=True)
    started_at = DateTimeField(null=True)
    finished_at = DateTimeField(null=True)
    updated_at = DateTimeField(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "runs"


class Score(Model):
    """One judgement of a run by a scorer."""

    id = BigAutoField()
    run = ForeignKeyField(Run)
    scorer_name = TextField()
    value = DoubleField(null=True)
    case_id = TextField(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "scores"


def winner(url: str, experiment: UUID, weights: Mapping[str, float]) -> UUID:
    """Return the id of the winner."""
    pool = open_for_reading(url)
    with pool.lend() as database, database.bind_ctx((Run, Score)):
        completed = Run.select().where(
            (Run.experiment_id == experiment) & (Run.status == "completed")
        )
        scored = [
            (weighted_score(run.score_set, weights), run.id)
            for run in prefetch(completed, Score.select())
            if run.score_set
        ]
    pool.close()
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
