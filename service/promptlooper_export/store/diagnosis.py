"""What a database says about itself, and the indexes that make reading it quicker.

Exports are right without the indexes. They are made only on request: each one costs the
runner's writes a little.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from peewee import InternalError, OperationalError, ProgrammingError

from promptlooper_export.errors import MigrationError
from promptlooper_export.store.catalog import read_catalog
from promptlooper_export.store.connection import Session, open_for_writing
from promptlooper_export.store.earlier import refuse_earlier
from promptlooper_export.store.parts import is_own
from promptlooper_export.store.state import looking

_TABLE = {
    "sqlite": """
        SELECT '"' || name || '"', type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%', ''
        FROM sqlite_master
        WHERE lower(name) = ? AND type IN ('table', 'view')
    """,
    # CONCURRENTLY does not work on a partitioned table.
    "postgresql": """
        SELECT CAST(pg_class.oid::regclass AS text), relkind = 'r',
            quote_ident(nspname) || '.'
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = to_regclass(?)
    """,
}

_COLUMNS = {
    "sqlite": "SELECT lower(name) FROM pragma_table_info(?)",
    "postgresql": """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
    """,
}

_IS_INDEXED = {
    "sqlite": """
        SELECT EXISTS (
            SELECT 1
            FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS part
            WHERE list.partial = 0 AND part.seqno = 0 AND lower(part.name) = ?
        )
    """,
    "postgresql": """
        SELECT EXISTS (
            SELECT 1 FROM pg_index
            JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
            WHERE indrelid = to_regclass(?) AND attname = ?
                AND indisvalid AND indpred IS NULL
        )
    """,
}

# What CREATE INDEX CONCURRENTLY leaves if it fails.
_IS_BROKEN = """
SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass(?) AND relname = ? AND NOT indisvalid
"""

_CREATE = {
    "sqlite": "CREATE INDEX {name} ON {table} ({columns})",
    "postgresql": "CREATE INDEX CONCURRENTLY {name} ON {table} ({columns})",
}

# Runs without a time come first, as SQLite has it by itself.
_IN_ORDER: Mapping[str, Mapping[str, str]] = {
    "sqlite": {},
    "postgresql": {"created_at": "created_at NULLS FIRST"},
}

_DROP_BROKEN = "DROP INDEX CONCURRENTLY {schema}{name}"


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """An index on the first column; those that follow make it quicker yet."""

    name: str
    table: str
    columns: tuple[str, ...]


_WANTED = (
    _Wanted(
        name="export_runs_order",
        table="runs",
        columns=("experiment_id", "created_at", "id"),
    ),
    _Wanted(
        name="export_scores_value",
        table="scores",
        columns=("run_id", "scorer_name", "value"),
    ),
    _Wanted(
        name="export_stage_results_run", table="stage_results", columns=("run_id",)
    ),
)


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """Statements that make the indexes which are missing.

    `impossible` are the tables that lack one and cannot get it here: views, partitioned
    and foreign tables.
    """

    statements: tuple[str, ...]
    impossible: tuple[str, ...]


def missing_indexes(session: Session) -> Indexes:
    """Look at the indexes on the tables that are there."""
    statements: list[str] = []
    impossible = []
    for wanted in _WANTED:
        found = session.one(_TABLE[session.kind], wanted.table)
        if found is None or session.value(
            _IS_INDEXED[session.kind], wanted.table, wanted.columns[0]
        ):
            continue
        table, is_possible, schema = found
        if is_possible:
            statements += _statements(session, wanted, table, schema)
        else:
            impossible.append(wanted.table)
    return Indexes(statements=tuple(statements), impossible=tuple(impossible))


def _statements(
    session: Session, wanted: _Wanted, table: str, schema: str
) -> Iterator[str]:
    there = {name for (name,) in session.all(_COLUMNS[session.kind], wanted.table)}
    if session.kind == "postgresql" and session.value(
        _IS_BROKEN, wanted.table, wanted.name
    ):
        yield _DROP_BROKEN.format(schema=schema, name=wanted.name)
    columns = ", ".join(
        _IN_ORDER[session.kind].get(name, name)
        for name in wanted.columns
        if name in there
    )
    yield _CREATE[session.kind].format(name=wanted.name, table=table, columns=columns)


def look_at_indexes(url: str) -> Indexes:
    """Open a runner's database and look; raises DatabaseUnavailableError."""
    with looking(url) as session:
        refuse_earlier(session)
        read_catalog(session)
        return missing_indexes(session)


def make_indexes(url: str, statements: tuple[str, ...]) -> Iterator[str]:
    """Run each statement in turn, outside a transaction; yield it before it runs.

    Raises MigrationError if the database refuses one.
    """
    database = open_for_writing(url)
    with database.connection_context():
        session = Session(database)
        for statement in statements:
            yield statement
            try:
                session.script(statement)
            except (OperationalError, ProgrammingError, InternalError) as error:
                reason = str(error).strip().splitlines()[0]
                msg = f"The database refuses to make the index: {reason}"
                raise MigrationError(msg) from error


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What there is to say about a database that can be read.

    `journal_mode` is None on PostgreSQL. `is_own`: whether `migrate` made the tables.
    `is_filtered`: whether row-level security may hide rows from the role.
    """

    is_own: bool
    is_filtered: bool
    journal_mode: str | None
    indexes: Indexes


def reach(url: str) -> None:
    """Raise DatabaseUnavailableError if the database does not answer."""
    with looking(url) as session:
        session.all("SELECT 1")


def diagnose(url: str) -> Diagnosis:
    """Look at a database without changing it.

    Raises DatabaseNotUnderstoodError for tables that cannot be exported from, and
    DatabaseUnavailableError.
    """
    with looking(url) as session:
        refuse_earlier(session)
        catalog = read_catalog(session)
        mode = session.one("PRAGMA journal_mode") if session.kind == "sqlite" else None
        return Diagnosis(
            is_own=is_own(session),
            is_filtered=catalog.is_filtered,
            journal_mode=str(mode[0]) if mode else None,
            indexes=missing_indexes(session),
        )
