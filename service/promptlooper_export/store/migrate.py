"""Bring a database to the schema that this version needs, and back.

A migration is a pair of plain SQL files for each database. Before the first one, the
runner's tables are created where they are missing, and get the columns that they lack.
Everything happens in one transaction under one lock.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from peewee import Database

from promptlooper_export.errors import MigrationError
from promptlooper_export.store.database import (
    Session,
    driver_errors,
    open_for_writing,
    writing,
)
from promptlooper_export.store.models import TABLES, Table

_FILE = re.compile(
    r"(?P<version>\d{4})_(?P<name>\w+)\.(?P<kind>\w+)\.(?P<way>up|down)\.sql"
)

_LEDGER = """
CREATE TABLE IF NOT EXISTS export_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    sha256 CHAR(64) NOT NULL
)
"""

_ADOPTED = """
CREATE TABLE IF NOT EXISTS export_adopted (undo TEXT NOT NULL, place INTEGER NOT NULL)
"""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    up: str
    down: str

    @property
    def sha256(self) -> str:
        """The digest by which an edited file is noticed."""
        return hashlib.sha256(self.up.encode()).hexdigest()


def migrations(kind: str) -> tuple[Migration, ...]:
    """Read the shipped migrations for one kind of database, oldest first."""
    texts: dict[tuple[int, str], dict[str, str]] = {}
    for file in resources.files("promptlooper_export.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match["kind"] == kind:
            texts.setdefault((int(match["version"]), match["name"]), {})[
                match["way"]
            ] = file.read_text("utf-8")
    return tuple(
        Migration(version=version, name=name, up=ways["up"], down=ways["down"])
        for (version, name), ways in sorted(texts.items())
    )


LATEST = max(step.version for step in migrations("sqlite"))
"""The schema version that this version of the service needs."""


def migrate(
    url: str, *, target: int | None = None, dry_run: bool = False
) -> tuple[str, ...]:
    """Bring the database to the schema version `target` (the latest by default).

    0 leaves the runner's tables as the runner made them. Returns the statements run, or
    with `dry_run` those that would run; empty when there is nothing to do. Raises
    MigrationError for an unknown target or a changed file, DatabaseUnavailableError
    where the database does not answer.
    """
    wanted = LATEST if target is None else target
    if not 0 <= wanted <= LATEST:
        msg = f"There is no schema version {wanted}; choose 0 to {LATEST}."
        raise MigrationError(msg)
    database = open_for_writing(url)
    script = _Script(database)
    with writing(database) as session:
        _lock(session)
        _apply(session, script, wanted)
        if dry_run:
            session.undo()
    return tuple(script.statements)


def schema_version(session: Session) -> int:
    """Return the version that the database is at; 0 where it was never migrated."""
    if not _has_table(session, "export_migrations"):
        return 0
    row = session.one("SELECT max(version) FROM export_migrations")
    return (row and row[0]) or 0


class _Script:
    """Runs statements on the driver's own cursor, and remembers them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements: list[str] = []

    def run(self, sql: str) -> None:
        # The driver's cursor, without values: with any, psycopg reads % in the text.
        with driver_errors:
            self._database.connection().cursor().execute(sql)
        self.statements.append(sql.strip())

    def run_file(self, sql: str, kind: str) -> None:
        for statement in _split(sql) if kind == "sqlite" else [sql]:
            self.run(statement)


def _split(sql: str) -> Iterator[str]:
    """Split a script for SQLite, which takes one statement at a time."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _lock(session: Session) -> None:
    if session.kind == "postgresql":
        session.run("SELECT pg_advisory_xact_lock(hashtext('promptlooper_export'))")
        # Functions keep the search path of now, so that no writer's can mislead them.
        session.run(
            "SELECT set_config("
            "'search_path', quote_ident(current_schema()) || ', pg_temp', true)"
        )


def _apply(session: Session, script: _Script, wanted: int) -> None:
    at = schema_version(session)
    steps = migrations(session.kind)
    if at > LATEST:
        msg = (
            f"The database is at schema version {at}, this release knows {LATEST}; "
            "install the newer release that migrated it."
        )
        raise MigrationError(msg)
    if at:
        _check_ledger(session, steps)
    if wanted > at:
        if at == 0:
            session.run(_LEDGER)
            session.run(_ADOPTED)
            _adopt(session, script)
        for step in steps[at:wanted]:
            script.run_file(step.up, session.kind)
            session.run(
                "INSERT INTO export_migrations VALUES (?, ?, ?)",
                step.version,
                step.name,
                step.sha256,
            )
    for step in reversed(steps[wanted:at]):
        script.run_file(step.down, session.kind)
        session.run("DELETE FROM export_migrations WHERE version = ?", step.version)
    if wanted == 0 and at:
        for (undo,) in session.all(
            "SELECT undo FROM export_adopted ORDER BY place DESC"
        ):
            script.run(undo)
        script.run("DROP TABLE export_adopted")
        script.run("DROP TABLE export_migrations")


def _check_ledger(session: Session, steps: tuple[Migration, ...]) -> None:
    for version, sha256 in session.all("SELECT version, sha256 FROM export_migrations"):
        if steps[version - 1].sha256 != sha256:
            msg = (
                f"Migration {version} differs from the one this database was migrated "
                "with; install the release that did it, migrate --to 0, and come back."
            )
            raise MigrationError(msg)


def _adopt(session: Session, script: _Script) -> None:
    """Create what the runner's tables lack, and note how to take it away again.

    Tables stay on the way back: by then they hold runs.
    """
    undo: list[str] = []
    for model in TABLES:
        table = model._meta.table_name  # noqa: SLF001
        if _has_table(session, table):
            undo += _add_columns(session, script, model)
        else:
            script.run(_create_table(session, model))
    for table, column in _INDEXED:
        if not _is_indexed(session, table, column):
            script.run(f"CREATE INDEX export_{table}_{column} ON {table} ({column})")
            undo.append(f"DROP INDEX export_{table}_{column}")
    for place, statement in enumerate(undo):
        session.run("INSERT INTO export_adopted VALUES (?, ?)", statement, place)


_INDEXED = (
    ("runs", "experiment_id"),
    ("scores", "run_id"),
    ("stage_results", "run_id"),
)


def _create_table(session: Session, model: type[Table]) -> str:
    with session.database.bind_ctx([model]):
        schema = model._schema  # type: ignore[attr-defined]  # noqa: SLF001
        sql, _ = schema._create_table(safe=False).query()  # noqa: SLF001
    return str(sql)


def _add_columns(session: Session, script: _Script, model: type[Table]) -> list[str]:
    """Add the columns that a table lacks; the statements that drop them again."""
    meta = model._meta  # noqa: SLF001  peewee has no other way to a model's columns
    there = {
        column.name
        for column in session.database.get_columns(meta.table_name, _schema(session))
    }
    undo = []
    for name, field in meta.columns.items():
        if name in there:
            continue
        if not field.null:
            msg = (
                f"The table {meta.table_name} has no column {name}, which every "
                "PromptLooper runner writes; is this the right database?"
            )
            raise MigrationError(msg)
        context = session.database.get_sql_context()
        definition, _ = context.sql(field.ddl(context)).query()
        script.run(f"ALTER TABLE {meta.table_name} ADD COLUMN {definition}")
        undo.append(f"ALTER TABLE {meta.table_name} DROP COLUMN {name}")
    return undo


def _has_table(session: Session, table: str) -> bool:
    return bool(session.database.table_exists(table, _schema(session)))


def _is_indexed(session: Session, table: str, column: str) -> bool:
    indexes = session.database.get_indexes(table, _schema(session))
    return any(index.columns[:1] == [column] for index in indexes)


def _schema(session: Session) -> str | None:
    if session.kind == "sqlite":
        return None
    return str(session.all("SELECT current_schema()")[0][0])
