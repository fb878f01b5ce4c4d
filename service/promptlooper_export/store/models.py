"""The runner's four tables, with every column that the service relies on or reads."""

from peewee import (
    BigAutoField,
    BigIntegerField,
    DateTimeField,
    DoubleField,
    ForeignKeyField,
    Model,
    TextField,
    UUIDField,
)


class JsonText(TextField):
    """JSON kept as it was written: a decoding column type would alter its numbers."""

    field_type = "json"


class Moment(DateTimeField):
    """A moment with its time zone."""

    field_type = "TIMESTAMPTZ"


class Table(Model):
    """Base of the models; they name columns and types, and are bound to no database."""


class Experiment(Table):
    """One experiment."""

    id = UUIDField(primary_key=True)
    name = TextField()
    description = TextField(null=True)
    status = TextField()
    parameter_space = JsonText(null=True)
    scoring_config = JsonText(null=True)
    created_at = Moment(null=True)
    updated_at = Moment(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "experiments"


class Run(Table):
    """One run of an experiment."""

    id = UUIDField(primary_key=True)
    experiment = ForeignKeyField(Experiment)
    name = TextField(null=True)
    status = TextField()
    config = JsonText()
    config_hash = TextField()
    tokens_in = BigIntegerField(null=True)
    tokens_out = BigIntegerField(null=True)
    duration_ms = BigIntegerField(null=True)
    cost_usd = DoubleField(null=True)
    error = TextField(null=True)
    tags = JsonText(null=True)
    created_at = Moment(null=True)
    started_at = Moment(null=True)
    finished_at = Moment(null=True)
    updated_at = Moment(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "runs"


class Score(Table):
    """One judgement of a run by a scorer; NULL where it gave none."""

    id = BigAutoField()
    run = ForeignKeyField(Run)
    scorer_name = TextField()
    value = DoubleField(null=True)
    case_id = TextField(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "scores"


class StageResult(Table):
    """What one stage of a run gave."""

    id = BigAutoField()
    run = ForeignKeyField(Run)
    stage_name = TextField()
    output = TextField(null=True)
    tokens_in = BigIntegerField(null=True)
    tokens_out = BigIntegerField(null=True)
    duration_ms = BigIntegerField(null=True)

    class Meta:
        """The runner's name for it."""

        table_name = "stage_results"


TABLES = (Experiment, Run, Score, StageResult)
