"""Which columns there are, of which types, and the SQL that reads each of them.

Each table becomes a subselect with the columns of `TABLES`, in one form: ids as
stored, statuses in lower case, JSON as text, numbers as doubles or whole numbers, and
the moment of creation as a time to order by. A type that is not understood is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from promptlooper_export.errors import DatabaseNotUnderstoodError

Kind = Literal["id", "serial", "text", "json", "whole", "number", "time"]
"""What a column holds. A serial number is our own tables' only, and never exported."""

TABLES: Mapping[str, Mapping[str, Kind]] = {
    "experiments": {
        "id": "id",
        "name": "text",
        "description": "text",
        "status": "text",
        "parameter_space": "json",
        "scoring_config": "json",
        "created_at": "time",
        "updated_at": "time",
    },
    "runs": {
        "id": "id",
        "experiment_id": "id",
        "name": "text",
        "status": "text",
        "config": "json",
        "config_hash": "text",
        "tokens_in": "whole",
        "tokens_out": "whole",
        "duration_ms": "whole",
        "cost_usd": "number",
        "error": "text",
        "tags": "json",
        "created_at": "time",
        "started_at": "time",
        "finished_at": "time",
        "updated_at": "time",
    },
    "scores": {
        "id": "serial",
        "run_id": "id",
        "scorer_name": "text",
        "value": "number",
        "case_id": "text",
    },
    "stage_results": {
        "id": "serial",
        "run_id": "id",
        "stage_name": "text",
        "output": "text",
        "tokens_in": "whole",
        "tokens_out": "whole",
        "duration_ms": "whole",
    },
}
"""The runner's tables and their columns, in the order in which ours have them.

JSON is read as the text it was written as: a column type that decodes it would alter
its numbers.
"""

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
# Text is matched before it is cast: the cast of other text fails the whole statement.
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
    spelled: Mapping[str, str] = field(default_factory=dict)


def select(
    database: str, table: str, found: Found | None, id_types: dict[str, str]
) -> str:
    """Return a subselect with the table's columns; empty for a table that is missing.

    `database` is `sqlite` or `postgresql`. Notes the types of ids in `id_types`. Raises
    DatabaseNotUnderstoodError.
    """
    columns = {
        column: kind for column, kind in TABLES[table].items() if kind != "serial"
    }
    if found is None:
        # NULL needs the type of the ids that it is compared with, and there is no row.
        id_types[f"{table}.run_id"] = id_types["runs.id"]
        nulls = [
            f"{_null(database, kind, id_types['runs.id'])} AS {column}"
            for column, kind in columns.items()
        ]
        return f"(SELECT {', '.join(nulls)}, NULL AS place WHERE 1 = 0)"
    lacking = sorted(REQUIRED[table] - found.columns.keys())
    if lacking:
        msg = (
            f"The table {table} has no column {', '.join(lacking)}; it has "
            f"{', '.join(found.columns)}."
        )
        raise DatabaseNotUnderstoodError(msg)
    parts = [
        f"{_column(database, table, column, kind, found)} AS {column}"
        for column, kind in columns.items()
    ]
    for column, kind in columns.items():
        if kind == "id" and column in found.columns:
            id_types[f"{table}.{column}"] = found.columns[column]
    if "created_at" in columns:
        created = _created(database, found)
        parts.append(f"{created} AS created")
        parts.append(f"{_moment(database, created)} AS moment")
    if "run_id" in columns:
        # To spare itself the sort, SQLite would read all rows in the order of their ids
        # instead of those of the runs asked for; that of an expression it cannot spare.
        sign = "+" if database == "sqlite" else ""
        parts.append(f"{sign}{_order(database, found)} AS place")
    return f"(SELECT {', '.join(parts)} FROM {found.sql})"


def _column(database: str, table: str, column: str, kind: Kind, found: Found) -> str:
    if column not in found.columns:
        return _ABSENT.get(f"{table}.{column}") or _null(database, kind)
    read = _sqlite_expression if database == "sqlite" else _postgresql_expression
    type_ = found.columns[column]
    stored = quoted(found.spelled.get(column, column))
    expression = read(kind, column, stored, type_)
    if expression is None:
        msg = (
            f"The column {table}.{column} has the type {type_}, which is not "
            f"understood as {_MEANINGS[kind]}."
        )
        raise DatabaseNotUnderstoodError(msg)
    return expression


_ABSENT = {"runs.config_hash": "''", "experiments.status": "''"}
"""What stands for a column that a document always has and a table may not have."""

_MEANINGS: Mapping[Kind, str] = {
    "id": "an id: a UUID, or text or bytes of one",
    "number": "a number",
    "whole": "a whole number",
    "json": "JSON",
    "time": "a time",
}


def _null(database: str, kind: Kind, id_type: str = "text") -> str:
    """Return NULL of a column's type, by which PostgreSQL chooses operators."""
    if database == "sqlite":
        return "NULL"
    types: Mapping[Kind, str] = {
        "number": "double precision",
        "whole": "bigint",
        "time": "timestamptz",
        "id": id_type,
    }
    return f"CAST(NULL AS {types.get(kind, 'text')})"


def _sqlite_expression(kind: Kind, column: str, stored: str, type_: str) -> str | None:
    """Return how a column is read; SQLite may hold any value in any column."""
    if kind == "id":
        return None if _INTEGER_TYPE.search(type_) else stored
    if kind in ("number", "whole"):
        return None if _TEXT_TYPE.search(type_) else stored
    if kind == "json":
        return f"CAST({stored} AS TEXT)"
    # SQLAlchemy writes an enum's names, which are often in capitals.
    return f"lower({stored})" if column == "status" else stored


def _postgresql_expression(
    kind: Kind, column: str, stored: str, type_: str
) -> str | None:
    match kind:
        case "id":
            return stored if type_ in (_TEXT - {"enum"}) | {"uuid", "bytea"} else None
        case "number" | "whole":
            return _number(stored, type_, whole=kind == "whole")
        case "json" if type_ == "array":
            return f"CAST(to_json({stored}) AS text)"
        case "json":
            is_json = type_ in {"json", "jsonb", *_TEXT}
            return f"CAST({stored} AS text)" if is_json else None
        case "time":
            return stored if type_ in _TIMES | _TEXT else None
    text = f"CAST({stored} AS text)"
    return f"lower({text})" if column == "status" else text


def _number(stored: str, type_: str, *, whole: bool) -> str | None:
    # A numeric may hold fractions and numbers beyond 64 bits, which `Cells` names.
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
    # By way of its text, 0.685 stays 0.685: a float4 made wider is 0.6850000023841858.
    "real": "CAST(CAST({0} AS text) AS double precision)",
    # Beyond the range of a double is infinity; too small for one is 0.
    "numeric": (
        f"CASE WHEN {{0}} {FINITE} THEN CASE "
        "WHEN abs({0}) > 2.4703282292062328e-324 "
        "THEN CAST({0} AS double precision) ELSE 0 END "
        "WHEN {0} IS NOT NULL THEN CAST('NaN' AS double precision) END"
    ),
}


def _created(database: str, found: Found) -> str:
    """Return the moment by which runs and experiments are ordered; NULL if unknown."""
    if "created_at" not in found.columns:
        return "NULL" if database == "sqlite" else "CAST(NULL AS timestamptz)"
    stored = quoted(found.spelled.get("created_at", "created_at"))
    if database == "sqlite":
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


def _moment(database: str, created: str) -> str:
    """Return the moment as a number: microseconds since 1970."""
    if database == "sqlite":
        return created
    return (
        f"CASE WHEN isfinite({created}) "
        "THEN CAST("
        # Its calendar ends where microseconds since 2000 leave 64 bits: since 1970, the
        # last 30 years do.
        f"least(extract(epoch FROM {created}) * 1000000, 9.2233e18) AS bigint) "
        f"WHEN {created} > now() THEN 9223372036854775807 "
        f"WHEN {created} < now() THEN -9223372036854775807 END"
    )


def _order(database: str, found: Found) -> str:
    """Return what judgements and stages are ordered by: the runner's own order."""
    type_ = found.columns.get("id", "")
    is_number = (
        bool(_INTEGER_TYPE.search(type_)) if database == "sqlite" else type_ in _WHOLE
    )
    # Ids that are counted up tell the order of insertion; random ones tell nothing.
    for column in ["id"] if is_number else ORDERS:
        if column in found.columns:
            return quoted(found.spelled.get(column, column))
    return quoted(found.spelled.get("id", "id")) if "id" in found.columns else "1"


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
