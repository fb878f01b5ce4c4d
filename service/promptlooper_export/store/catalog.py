"""What a runner's database looks like, and the SQL that reads it in one form.

The four tables are found as the runner's own statements find them (on PostgreSQL along
`search_path`), be they tables, views, partitioned or foreign ones. Each becomes a
subselect with the columns of `columns.TABLES`, whatever the types of the stored ones;
both databases flatten it, so indexes work as ever. An optional column that is missing
is NULL. What is not understood is refused with the column's name and type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from promptlooper_export.errors import DatabaseNotUnderstoodError
from promptlooper_export.store.columns import TABLES, Found, quoted, select
from promptlooper_export.store.connection import Session
from promptlooper_export.store.rows import row_id

OPTIONAL_TABLES = frozenset({"stage_results"})

# A domain is read as the type that it is based on. Enums and arrays have types of their
# own making, so only what kind of type it is matters. to_regclass follows search_path,
# as the runner's statements do.
_POSTGRESQL_COLUMNS = """
SELECT
    wanted.name, class.oid, namespace.nspname, class.relname, class.relkind,
    row_security_active(class.oid), attribute.attname,
    CASE WHEN type.typtype = 'e' THEN 'enum' WHEN type.typcategory = 'A' THEN 'array'
        ELSE format_type(coalesce(nullif(type.typbasetype, 0), type.oid), NULL) END
FROM unnest(CAST(? AS text[])) AS wanted (name)
JOIN pg_class AS class ON class.oid = to_regclass(quote_ident(wanted.name))
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
JOIN pg_type AS type ON type.oid = attribute.atttypid
WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY wanted.name, attribute.attnum
"""

# The oid changes if a table is dropped and made again, the rest if a column is.
_POSTGRESQL_FINGERPRINT = """
SELECT md5(string_agg(
    concat_ws(' ', attrelid, attnum, attname, atttypid, attisdropped), ','
    ORDER BY attrelid, attnum
))
FROM pg_attribute
WHERE attnum > 0 AND attrelid IN (
    to_regclass('experiments'), to_regclass('runs'),
    to_regclass('scores'), to_regclass('stage_results')
)
"""

_POSTGRESQL_OTHERS = """
SELECT concat(nspname, '.', relname) FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'v', 'm', 'f', 'p')
    AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1 LIMIT 12
"""

# A partition may be a foreign table: what changes there takes part in no snapshot here.
_HAS_FOREIGN_PART = """
SELECT EXISTS (
    WITH RECURSIVE part (oid) AS (
        SELECT unnest(CAST(? AS oid[]))
        UNION SELECT inhrelid FROM pg_inherits JOIN part ON inhparent = part.oid
    )
    SELECT 1 FROM part JOIN pg_class USING (oid) WHERE relkind = 'f'
)
"""

_SQLITE_OTHERS = """
SELECT name FROM sqlite_master
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY name LIMIT 12
"""

_SPELLING = "SELECT {column} FROM {table} AS one WHERE {column} IS NOT NULL LIMIT 1"


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The runner's tables, each as a subselect to put after FROM.

    `fingerprint` changes with the tables' definition. `lockable` are the names of the
    relations if a snapshot taken after locking them shows every change to their rows;
    None on SQLite and if views or foreign tables are among them.
    """

    kind: str
    fingerprint: object
    experiments: str
    runs: str
    scores: str
    stage_results: str
    lockable: tuple[str, ...] | None
    is_filtered: bool
    id_types: Mapping[str, str]

    def owners(
        self, session: Session, table: str, keys: Sequence[object]
    ) -> dict[object, object]:
        """Return, by its value in `table.run_id`, each of the ids in `runs.id`.

        The two are the same unless the tables spell ids differently.
        """
        if self.is_spelled_alike(session, table):
            return {key: key for key in keys}
        column = f"{table}.run_id"
        return {
            spelled: key
            for key in keys
            for spelled in self.id(column, row_id(key, "runs"))[1]
        }

    def same_run(self, session: Session, table: str, run_id: str) -> str:
        """Return the condition that `run_id` of a table is the id of `run`.

        Ids that are spelled differently in the two tables are compared as UUIDs.
        """
        if self.is_spelled_alike(session, table):
            return f"{run_id} = run.id"
        one, other = self.hex(f"{table}.run_id", run_id), self.hex("runs.id", "run.id")
        return f"{one} = {other}"

    def is_spelled_alike(self, session: Session, table: str) -> bool:
        """Return whether a table spells the ids of runs as `runs` does."""
        types = self.id_types
        one, other = types["runs.id"], types[f"{table}.run_id"]
        if "uuid" in (one, other) or "bytea" in (one, other):
            return one == other
        # One row of each stands for all: a program writes its ids in one way. Text and
        # bytes do not compare as equal, and a join by an expression uses no index.
        run = session.one(_SPELLING.format(column="id", table=self.runs))
        selected = self.scores if table == "scores" else self.stage_results
        row = session.one(_SPELLING.format(column="run_id", table=selected))
        return run is None or row is None or _form(run[0]) == _form(row[0])

    def hex(self, column: str, sql: str) -> str:
        """Return an expression for the 32 hexadecimal digits of `table.column`."""
        if self.kind == "sqlite":
            text = f"CASE typeof({sql}) WHEN 'blob' THEN hex({sql}) ELSE {sql} END"
        elif self.id_types[column] == "bytea":
            text = f"encode({sql}, 'hex')"
        else:
            text = f"CAST({sql} AS text)"
        return f"lower(replace({text}, '-', ''))"

    def id(self, column: str, value: UUID) -> tuple[str, list[object]]:
        """Return `IN (...)` and its values for an id in `table.column`.

        It is compared in each spelling that the column may have.
        """
        # Every spelling as a value, instead of one form of the column: so the index on
        # the column is used.
        keys = list(_spellings(self.id_types[column], self.kind)(value))
        return f"IN ({', '.join('?' * len(keys))})", keys


def fingerprint(session: Session) -> object:
    """Return what changes if tables or columns do."""
    if session.kind == "sqlite":
        return session.value("PRAGMA schema_version")
    return session.value(_POSTGRESQL_FINGERPRINT)


def read_catalog(session: Session) -> Catalog:
    """Look at the tables and columns.

    Raises DatabaseNotUnderstoodError for tables that are missing and types that are not
    understood.
    """
    look = _sqlite_tables if session.kind == "sqlite" else _postgresql_tables
    found, lockable, is_filtered = look(session)
    missing = [
        name for name in TABLES if name not in found and name not in OPTIONAL_TABLES
    ]
    if missing:
        raise _not_there(session, missing)
    id_types: dict[str, str] = {}
    selects = {
        name: select(session.kind, name, found.get(name), id_types) for name in TABLES
    }
    return Catalog(
        kind=session.kind,
        fingerprint=fingerprint(session),
        experiments=selects["experiments"],
        runs=selects["runs"],
        scores=selects["scores"],
        stage_results=selects["stage_results"],
        lockable=lockable,
        is_filtered=is_filtered,
        id_types=id_types,
    )


def _sqlite_tables(
    session: Session,
) -> tuple[dict[str, Found], tuple[str, ...] | None, bool]:
    found = {}
    for name in TABLES:
        columns, spelled = {}, {}
        for _, column, type_, _, _, _, hidden in session.all(
            f"PRAGMA table_xinfo({name})"
        ):
            spelled[column.lower()] = column
            # A virtual table's hidden columns are arguments, not part of a row; columns
            # that are generated have other numbers and are read as any other.
            if hidden != 1:
                columns[column.lower()] = type_
        if columns:
            found[name] = Found(sql=f'main."{name}"', columns=columns, spelled=spelled)
    return found, None, False


class _Relation(NamedTuple):
    """A table as PostgreSQL's catalog has it; `kind` is its `relkind`."""

    oid: int
    sql: str
    kind: str
    is_filtered: bool


def _postgresql_tables(
    session: Session,
) -> tuple[dict[str, Found], tuple[str, ...] | None, bool]:
    relations: dict[str, _Relation] = {}
    columns: dict[str, dict[str, str]] = {}
    for name, oid, schema, relation, kind, is_secured, column, type_ in session.all(
        _POSTGRESQL_COLUMNS, list(TABLES)
    ):
        sql = f"{quoted(schema)}.{quoted(relation)}"
        relations[name] = _Relation(oid, sql, kind, is_secured)
        columns.setdefault(name, {})[column] = type_
    found = {
        name: Found(sql=relation.sql, columns=columns[name])
        for name, relation in relations.items()
    }
    is_filtered = any(one.is_filtered for one in relations.values())
    # Rows of a view or a foreign table change without a lock on the relation itself.
    is_exact = not is_filtered and all(
        one.kind in ("r", "p") for one in relations.values()
    )
    if is_exact:
        oids = [one.oid for one in relations.values()]
        is_exact = not session.value(_HAS_FOREIGN_PART, oids)
    lockable = tuple(one.sql for one in found.values()) if is_exact else None
    return found, lockable, is_filtered


def _not_there(session: Session, missing: Sequence[str]) -> DatabaseNotUnderstoodError:
    if session.kind == "sqlite":
        there = [name for (name,) in session.all(_SQLITE_OTHERS)]
        where = ""
    else:
        there = [name for (name,) in session.all(_POSTGRESQL_OTHERS)]
        where = f" in {session.value('SHOW search_path')} (the search_path)"
    holds = f"it has {', '.join(there)}" if there else "it has no table"
    msg = (
        f"Looked for the table{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        f"{where} and found none of that name; {holds}. Is "
        "PROMPTLOOPER_DATABASE_URL the runner's database? `migrate --create` makes the "
        "tables in an empty one."
    )
    return DatabaseNotUnderstoodError(msg)


def _form(key: object) -> tuple[type, int, bool]:
    text = key.strip() if isinstance(key, str) else ""
    return type(key), len(text), text == text.lower()


def _spellings(type_: str, kind: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Return a function that spells an id in each way that a column may hold it."""
    if kind == "postgresql":
        if type_ == "uuid":
            return lambda value: (value,)
        if type_ == "bytea":
            return lambda value: (value.bytes,)
        return _texts
    if "BLOB" in type_.upper() or "BINARY" in type_.upper():
        return lambda value: (value.bytes, *_texts(value))
    return lambda value: (*_texts(value), value.bytes)


def _texts(value: UUID) -> tuple[object, ...]:
    dashed = str(value)
    return (value.hex, dashed, value.hex.upper(), dashed.upper())
