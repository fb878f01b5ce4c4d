"""The two parts of what `migrate` makes, and the record of what it has made.

`tables` are the runner's four tables, in a database of our own; `state` holds grants
and revocations. A part is a sequence of steps, each a pair of plain SQL files for each
kind of database. The record is kept where the part is.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from promptlooper_export.errors import MigrationError
from promptlooper_export.store.columns import TABLES
from promptlooper_export.store.connection import Session

RUNNER_TABLES = "tables"
STATE = "state"

SCHEMA = "promptlooper_export"
"""The schema on PostgreSQL that holds the state and the record."""

_FILE = re.compile(
    r"(?P<part>tables|state)_(?P<version>\d{4})_(?P<name>\w+)"
    r"\.(?P<kind>sqlite|postgresql)\.(?P<way>up|down)\.sql"
)

RECORD = {"sqlite": "export_migrations", "postgresql": f"{SCHEMA}.migrations"}

_RECORD_TABLE = """
CREATE TABLE {record} (
    part VARCHAR(10) NOT NULL,
    version INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    PRIMARY KEY (part, version)
);
"""

_HAS_RECORD = {
    "sqlite": "SELECT count(*) FROM pragma_table_info('export_migrations') "
    "WHERE name = 'part'",
    "postgresql": f"SELECT to_regclass('{SCHEMA}.migrations') IS NOT NULL",
}

_RECORDED = "SELECT part, version, sha256 FROM {record} ORDER BY part, version"

_COLUMNS = {
    "sqlite": "SELECT name FROM pragma_table_info(?) ORDER BY cid",
    "postgresql": """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    """,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a part."""

    part: str
    version: int
    name: str
    up: str
    down: str

    @property
    def sha256(self) -> str:
        """The digest by which an edited file is noticed."""
        return hashlib.sha256(self.up.encode()).hexdigest()


class Script:
    """Runs statements and remembers them; a dry run only remembers them."""

    def __init__(self, session: Session, *, dry_run: bool) -> None:
        self.session = session
        self.dry_run = dry_run
        self.statements: list[str] = []

    def run(self, sql: str) -> None:
        """Run the statements of a text, in which no value stands open."""
        for statement in split(sql):
            if not self.dry_run:
                self.session.script(statement)
            self.statements.append(statement)

    def record(self, sql: str, *values: object) -> None:
        """Run a statement on the record, which nobody needs to see."""
        if not self.dry_run:
            self.session.run(sql, *values)


def split(sql: str) -> Iterator[str]:
    """Split a text into its statements; SQLite takes one at a time."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        # It knows of semicolons within text, comments and the bodies of triggers.
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        yield statement.strip()


def steps(kind: str, part: str) -> tuple[Step, ...]:
    """Read the shipped steps of a part for one kind of database, oldest first."""
    texts: dict[tuple[int, str], dict[str, str]] = {}
    for file in resources.files("promptlooper_export.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and (match["kind"], match["part"]) == (kind, part):
            ways = texts.setdefault((int(match["version"]), match["name"]), {})
            ways[match["way"]] = file.read_text("utf-8")
    return tuple(
        Step(part=part, version=version, name=name, up=ways["up"], down=ways["down"])
        for (version, name), ways in sorted(texts.items())
    )


def recorded(session: Session) -> Mapping[str, int]:
    """Return the version of each part that is recorded in this database.

    Raises MigrationError for a step that differs from ours, and for a newer one.
    """
    if not _has_record(session):
        return {}
    found: dict[str, int] = {}
    for part, version, sha256 in session.all(
        _RECORDED.format(record=RECORD[session.kind])
    ):
        known = steps(session.kind, part)
        if version > len(known):
            msg = (
                f"The {part} are at version {version}, and this release knows "
                f"{len(known)}; install the newer release that migrated them."
            )
            raise MigrationError(msg)
        if known[version - 1].sha256 != sha256:
            msg = (
                f"Step {version} of the {part} differs from the one this database was "
                "migrated with; install the release that migrated it."
            )
            raise MigrationError(msg)
        found[part] = version
    return found


def _has_record(session: Session) -> bool:
    return bool(session.value(_HAS_RECORD[session.kind]))


def latest(kind: str, part: str) -> int:
    """Return the version of a part that this release needs."""
    return len(steps(kind, part))


def is_own(session: Session) -> bool:
    """Return whether `migrate` made the runner's tables in this database.

    The columns must be ours as well: a record says nothing about tables that came in
    their place, or that another search_path leads to.
    """
    return RUNNER_TABLES in recorded(session) and has_our_columns(session)


def has_our_columns(session: Session) -> bool:
    """Return whether the four tables have exactly our columns, in our order."""
    return all(
        [name for (name,) in session.all(_COLUMNS[session.kind], table)]
        == list(columns)
        for table, columns in TABLES.items()
    )


def bring_up(script: Script, *parts: str, has_tables: bool = False) -> None:
    """Run the steps of parts that are not recorded yet, and record them.

    Of tables that are there without a record, only the indexes are made.
    """
    session = script.session
    at = recorded(session)
    missing = [
        step for part in parts for step in steps(session.kind, part)[at.get(part, 0) :]
    ]
    # Nothing is written to a database that lacks nothing.
    if missing:
        _make_record(script)
    for step in missing:
        is_there = has_tables and step.part == RUNNER_TABLES
        for statement in split(step.up):
            if not is_there or statement.startswith("CREATE INDEX"):
                script.run(statement)
        script.record(
            f"INSERT INTO {RECORD[session.kind]} VALUES (?, ?, ?, ?)",
            step.part,
            step.version,
            step.name,
            step.sha256,
        )


def _make_record(script: Script) -> None:
    """Make the record unless it is there, and on PostgreSQL its schema."""
    session = script.session
    if session.kind == "postgresql":
        _make_schema(script)
    if not _has_record(session):
        script.run(_RECORD_TABLE.format(record=RECORD[session.kind]))


def bring_down(script: Script, *parts: str) -> None:
    """Take recorded parts away again; the record goes with the last one."""
    session = script.session
    at = recorded(session)
    for part in parts:
        # Only what is recorded, newest first: a step may build on the one before.
        for step in reversed(steps(session.kind, part)[: at[part]]):
            script.run(step.down)
        script.record(f"DELETE FROM {RECORD[session.kind]} WHERE part = ?", part)
    if at and not at.keys() - set(parts):
        script.run(f"DROP TABLE {RECORD[session.kind]};")
        if session.kind == "postgresql":
            script.run(f"DROP SCHEMA {SCHEMA};")


_SCHEMA_RIGHTS = f"""
SELECT
    has_database_privilege(current_database(), 'CREATE'),
    CASE WHEN to_regnamespace('{SCHEMA}') IS NOT NULL
        THEN has_schema_privilege('{SCHEMA}', 'CREATE') END,
    quote_ident(current_database()), quote_ident(current_user)
"""


def _make_schema(script: Script) -> None:
    """Make the schema unless it is there; raise MigrationError if that is forbidden."""
    may_create, may_use, database, role = script.session.all(_SCHEMA_RIGHTS)[0]
    if may_use:
        return
    if may_use is None and may_create:
        script.run(f"CREATE SCHEMA {SCHEMA};")
        return
    wanted = f"SCHEMA {SCHEMA}" if may_use is not None else f"DATABASE {database}"
    msg = (
        f"The role {role} may not keep its state in this database: GRANT CREATE ON "
        f"{wanted} TO {role}, or set PROMPTLOOPER_STATE_URL to a database of its own, "
        "such as sqlite:///state.db."
    )
    raise MigrationError(msg)
