"""Which columns there are, of which types, and the SQL that reads each of them.

Each table becomes a subselect with the columns of its model, in one form: ids as
stored, statuses in lower case, JSON as text, numbers as doubles or whole numbers, and
the moment of creation as a time to order by. A type that is not understood is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from peewee import (
    BigAutoField,
    BigIntegerField,
    DateTimeField,
    DoubleField,
    Field,
    ForeignKeyField,
    Model,
    TextField,
    UUIDField,
)

from promptlooper_export.errors import DatabaseNotUnderstoodError


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


REQUIRED: Mapping[str, frozenset[str]] = {
    "experiments": frozenset({"id", "name"}),
    "runs": frozenset({"id", "experiment_id", "status", "config"}),
    "scores": frozenset({"run_id", "scorer_name", "value"}),
    "stage_results": frozenset({"run_id", "stage_name"}),
}
"""Columns without which nothing can be exported; every other one may be missing."""

ORDERS = ("position", "stage_index", "order_index", "sequence", "created_at")
"""Columns that tell the order of judgements and stages, if `id` is not a number."""

FINITE = "BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"

_TEXT = {"text", "character varying", "character", "citext", "name", "enum", '"char"'}
_WHOLE = {"smallint", "integer", "bigint"}
_TIMES = {"timestamp with time zone", "timestamp without time zone", "date"}

# ISO 8601 as SQLAlchemy, Django and people write it; PostgreSQL reads it as a moment.
_ISO = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+|)|)|)"
    r"(Z|[+-][0-9]{2}(:|)([0-9]{2}|)|)$"
)

_INTEGER_TYPE = re.compile("INT", re.IGNORECASE)
_TEXT_TYPE = re.compile("CHAR|CLOB|TEXT|BLOB", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A table as found; `columns` maps names in lower case to types."""

    sql: str
    columns: Mapping[str, str]
    spelled: Mapping[str, str] = dataclass_field(default_factory=dict)


def select(
    database: str, model: type[Table], found: Found | None, id_types: dict[str, str]
) -> str:
    """Return a subselect with the model's columns; empty for a table that is missing.

    `database` is `sqlite` or `postgresql`. Notes the types of ids in `id_types`. Raises
    DatabaseNotUnderstoodError.
    """
    name = model._meta.table_name  # noqa: SLF001  peewee has no other way
    columns: Mapping[str, Field] = {
        column: field
        for column, field in model._meta.columns.items()  # noqa: SLF001
        if column != "id" or isinstance(field, UUIDField)
    }
    if found is None:
        id_types[f"{name}.run_id"] = id_types["runs.id"]
        nulls = [
            f"{_null(database, field, id_types['runs.id'])} AS {column}"
            for column, field in columns.items()
        ]
        return f"(SELECT {', '.join(nulls)}, NULL AS place WHERE 1 = 0)"
    lacking = sorted(REQUIRED[name] - found.columns.keys())
    if lacking:
        msg = (
            f"The table {name} has no column {', '.join(lacking)}; it has "
            f"{', '.join(found.columns)}."
        )
        raise DatabaseNotUnderstoodError(msg)
    parts = [
        f"{_column(database, name, column, field, found)} AS {column}"
        for column, field in columns.items()
    ]
    for column, field in columns.items():
        if column in found.columns and isinstance(field, UUIDField | ForeignKeyField):
            id_types[f"{name}.{column}"] = found.columns[column]
    if "created_at" in columns:
        created = _created(database, found)
        parts.append(f"{created} AS created")
        parts.append(f"{_moment(database, created)} AS moment")
    if "run_id" in columns:
        parts.append(f"{_order(database, found)} AS place")
    return f"(SELECT {', '.join(parts)} FROM {found.sql})"


def _column(database: str, table: str, column: str, field: Field, found: Found) -> str:
    if column not in found.columns:
        return _ABSENT.get(f"{table}.{column}") or _null(database, field)
    read = _sqlite_expression if database == "sqlite" else _postgresql_expression
    type_ = found.columns[column]
    stored = quoted(found.spelled.get(column, column))
    expression = read(field, column, stored, type_)
    if expression is None:
        msg = (
            f"The column {table}.{column} has the type {type_}, which is not "
            f"understood as {_MEANINGS[type(field)]}."
        )
        raise DatabaseNotUnderstoodError(msg)
    return expression


_ABSENT = {"runs.config_hash": "''", "experiments.status": "''"}
"""What stands for a column that a document always has and a table may not have."""

_MEANINGS: Mapping[type, str] = {
    UUIDField: "an id: a UUID, or text or bytes of one",
    ForeignKeyField: "an id: a UUID, or text or bytes of one",
    DoubleField: "a number",
    BigIntegerField: "a whole number",
    JsonText: "JSON",
    Moment: "a time",
}


def _null(kind: str, field: Field, id_type: str = "text") -> str:
    """Return NULL of a column's type, by which PostgreSQL chooses operators."""
    if kind == "sqlite":
        return "NULL"
    types = {
        DoubleField: "double precision",
        BigIntegerField: "bigint",
        Moment: "timestamptz",
        ForeignKeyField: id_type,
    }
    return f"CAST(NULL AS {types.get(type(field), 'text')})"


def _sqlite_expression(kind: Field, column: str, stored: str, type_: str) -> str | None:
    """Return how a column is read; SQLite may hold any value in any column."""
    if isinstance(kind, UUIDField | ForeignKeyField):
        return None if _INTEGER_TYPE.search(type_) else stored
    if isinstance(kind, DoubleField | BigIntegerField):
        return None if _TEXT_TYPE.search(type_) else stored
    if isinstance(kind, JsonText):
        return f"CAST({stored} AS TEXT)"
    return f"lower({stored})" if column == "status" else stored


def _postgresql_expression(
    kind: Field, column: str, stored: str, type_: str
) -> str | None:
    match kind:
        case UUIDField() | ForeignKeyField():
            return stored if type_ in (_TEXT - {"enum"}) | {"uuid", "bytea"} else None
        case DoubleField() | BigIntegerField():
            whole = isinstance(kind, BigIntegerField)
            return _number(stored, type_, whole=whole)
        case JsonText() if type_ == "array":
            return f"CAST(to_json({stored}) AS text)"
        case JsonText():
            is_json = type_ in {"json", "jsonb", *_TEXT}
            return f"CAST({stored} AS text)" if is_json else None
        case Moment():
            return stored if type_ in _TIMES | _TEXT else None
    text = f"CAST({stored} AS text)"
    return f"lower({text})" if column == "status" else text


def _number(stored: str, type_: str, *, whole: bool) -> str | None:
    if type_ == "numeric" and whole:
        return stored
    if type_ in _WHOLE and whole:
        return f"CAST({stored} AS bigint)"
    if type_ in _WHOLE:
        type_ = "whole"
    return _NUMBERS[type_].format(stored) if type_ in _NUMBERS else None


_NUMBERS = {
    "double precision": "{0}",
    "whole": "CAST({0} AS double precision)",
    "boolean": "CAST(CAST({0} AS integer) AS double precision)",
    # By way of its text, 0.685 stays 0.685.
    "real": "CAST(CAST({0} AS text) AS double precision)",
    # Beyond the range of a double is infinity; too small for one is 0.
    "numeric": (
        f"CASE WHEN {{0}} {FINITE} THEN CASE "
        "WHEN abs({0}) > 2.4703282292062328e-324 "
        "THEN CAST({0} AS double precision) ELSE 0 END "
        "WHEN {0} IS NOT NULL THEN CAST('NaN' AS double precision) END"
    ),
}


def _created(kind: str, found: Found) -> str:
    """Return the moment by which runs and experiments are ordered; NULL if unknown."""
    if "created_at" not in found.columns:
        return "NULL" if kind == "sqlite" else "CAST(NULL AS timestamptz)"
    stored = quoted(found.spelled.get("created_at", "created_at"))
    if kind == "sqlite":
        return microseconds_of(stored)
    if found.columns["created_at"] in _TIMES:
        return f"CAST({stored} AS timestamptz)"
    return (
        f"CASE WHEN CAST({stored} AS text) ~ '{_ISO}' "
        f"THEN CAST(CAST({stored} AS text) AS timestamptz) END"
    )


def microseconds_of(stored: str) -> str:
    """Return a stored time of SQLite as a number; bytes may hold what is not UTF-8."""
    return (
        f"microseconds(CASE typeof({stored}) WHEN 'text' "
        f"THEN CAST({stored} AS BLOB) ELSE {stored} END)"
    )


def _moment(kind: str, created: str) -> str:
    """Return the moment as a number: microseconds since 1970."""
    if kind == "sqlite":
        return created
    return (
        f"CASE WHEN isfinite({created}) "
        "THEN CAST("
        f"least(extract(epoch FROM {created}) * 1000000, 9.2233e18) AS bigint) "
        f"WHEN {created} > now() THEN 9223372036854775807 "
        f"WHEN {created} < now() THEN -9223372036854775807 END"
    )


def _order(kind: str, found: Found) -> str:
    """Return what judgements and stages are ordered by: the runner's own order."""
    type_ = found.columns.get("id", "")
    is_number = (
        bool(_INTEGER_TYPE.search(type_)) if kind == "sqlite" else type_ in _WHOLE
    )
    for column in ["id"] if is_number else ORDERS:
        if column in found.columns:
            return quoted(found.spelled.get(column, column))
    return quoted(found.spelled.get("id", "id")) if "id" in found.columns else "1"


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
