"""Open a database from its URL, for reading or for writing."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import peewee
from peewee import (
    Database,
    InterfaceError,
    OperationalError,
    PeeweeException,
    PostgresqlDatabase,
    ProgrammingError,
    SqliteDatabase,
)
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from promptlooper_export.errors import (
    DatabaseUnavailableError,
    SettingsError,
)

Row = tuple[Any, ...]

driver_errors = peewee.__exception_wrapper__  # type: ignore[attr-defined]  # no stub
"""Turns a driver's exceptions into peewee's, around calls that bypass peewee."""

READ_SECONDS = 60
"""How long one statement of an export may take on PostgreSQL."""

STREAMED_TOGETHER = 1000
"""Rows that PostgreSQL sends together where they are streamed."""

LOCK_SECONDS = 30
"""How long a writer waits for a lock."""


class Session:
    """One transaction on one connection; placeholders are `?` for both databases."""

    def __init__(self, database: Database, transaction: Any) -> None:  # noqa: ANN401
        self.database = database
        self._transaction = transaction
        self._streams: list[Generator[Row]] = []
        self.kind = "sqlite" if isinstance(database, SqliteDatabase) else "postgresql"

    def all(self, sql: str, *values: object) -> list[Row]:
        """Run a statement and fetch every row."""
        rows: list[Row] = self._execute(sql, values).fetchall()
        return rows

    def one(self, sql: str, *values: object) -> Row | None:
        """Run a statement and fetch its first row, or None."""
        row: Row | None = self._execute(sql, values).fetchone()
        return row

    def rows(self, sql: str, *values: object) -> Iterator[Row]:
        """Run a statement and yield its rows."""
        yield from self._execute(sql, values)

    def stream(self, sql: str, *values: object) -> Iterator[Row]:
        """Run a statement and yield its rows, however many, in constant memory.

        Other statements may run meanwhile. The rows end with the transaction.
        """
        rows = self._stream(sql, values)
        self._streams.append(rows)
        return rows

    def end_streams(self) -> None:
        """Give up the rows that nobody read, while the connection is open."""
        for rows in self._streams:
            rows.close()

    def _stream(self, sql: str, values: tuple[object, ...]) -> Generator[Row]:
        if self.kind == "sqlite":
            # Not from the cursor itself: what is not read to its end would close it,
            # which fails after the connection.
            yield from map(tuple, self._execute(sql, values))
            return
        with driver_errors:
            # Without a name, the driver fetches every row before the first is given.
            cursor = self.database.connection().cursor(name=f"stream_{uuid4().hex}")
            with cursor:
                cursor.itersize = STREAMED_TOGETHER
                cursor.execute(sql.replace("?", "%s"), values)
                yield from cursor

    def run(self, sql: str, *values: object) -> int:
        """Run a statement for its effect; the number of rows changed."""
        count: int = self._execute(sql, values).rowcount
        return count

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run a statement once for each row of values."""
        if self.kind == "postgresql":
            sql = sql.replace("?", "%s")
        with driver_errors:
            self.database.connection().cursor().executemany(sql, rows)

    def undo(self) -> None:
        """Take back what the transaction has changed so far."""
        self._transaction.rollback()

    def key(self, value: UUID) -> object:
        """Return an id as this database holds it."""
        return value.hex if self.kind == "sqlite" else value

    def _execute(self, sql: str, values: tuple[object, ...]) -> Any:  # noqa: ANN401
        if self.kind == "postgresql":
            sql = sql.replace("?", "%s")
        return self.database.execute_sql(sql, values)


class _ReadableSqlite(SqliteDatabase):
    """SQLite that gives text which is no UTF-8, too: in lone surrogates."""

    def _connect(self) -> Any:  # noqa: ANN401  the driver's connection
        connection = super()._connect()  # type: ignore[misc]  # no stub
        connection.text_factory = partial(
            str, encoding="utf-8", errors="surrogateescape"
        )
        return connection


class _ReadablePostgresql(PooledPostgresqlDatabase):  # type: ignore[misc]  # no stub
    """PostgreSQL that gives times beyond our calendar, too: as text."""

    def _connect(self) -> Any:  # noqa: ANN401  the driver's connection
        from psycopg.types import datetime  # noqa: PLC0415  an extra, and slow to import

        connection = super()._connect()
        for name, loader in (
            ("timestamptz", datetime.TimestamptzLoader),
            ("timestamp", datetime.TimestampLoader),
        ):
            connection.adapters.register_loader(name, _tolerant(loader))
        return connection


def _tolerant(loader: Any) -> Any:  # noqa: ANN401  the driver's classes
    from psycopg import DataError  # noqa: PLC0415  an extra, and slow to import

    class TolerantLoader(loader):  # type: ignore[misc]
        def load(self, data: Any) -> Any:  # noqa: ANN401
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    return TolerantLoader


def open_for_reading(
    url: str, *, connections: int = 16, seconds: int = READ_SECONDS
) -> Database:
    """Open a database that nothing can be written to.

    On PostgreSQL, of so many connections at most, on which a statement may take so many
    seconds. Raises SettingsError for a URL that is neither SQLite's nor PostgreSQL's.
    """
    if (path := sqlite_path(url)) is not None:
        return _ReadableSqlite(
            f"file:{quote(str(path.resolve()))}?mode=ro",
            uri=True,
            pragmas={"query_only": 1, "busy_timeout": 2000},
        )
    pool: Database = _ReadablePostgresql(
        _postgresql_location(url),
        prefer_psycopg3=True,
        max_connections=connections,
        timeout=5,
        stale_timeout=300,
        connect_timeout=3,
        tcp_user_timeout=seconds * 1000,
        isolation_level="REPEATABLE READ",
        options="-c default_transaction_read_only=on "
        f"-c statement_timeout={seconds}s "
        "-c idle_in_transaction_session_timeout=120s "
        "-c timezone=UTC",
    )
    return pool


def open_for_writing(url: str) -> Database:
    """Open a database to write to; a missing SQLite file is created.

    Raises SettingsError for a URL that is neither SQLite's nor PostgreSQL's.
    """
    if (path := sqlite_path(url)) is not None:
        return SqliteDatabase(
            str(path),
            pragmas={"journal_mode": "wal", "busy_timeout": LOCK_SECONDS * 1000},
        )
    return PostgresqlDatabase(
        _postgresql_location(url),
        prefer_psycopg3=True,
        connect_timeout=3,
        options=f"-c lock_timeout={LOCK_SECONDS}s -c timezone=UTC",
    )


def sqlite_path(url: str) -> Path | None:
    """Return the file of a `sqlite:///FILE` URL, None for another database's URL."""
    if not url.startswith("sqlite:"):
        return None
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        msg = "PROMPTLOOPER_DATABASE_URL: SQLite's form is sqlite:///FILE"
        raise SettingsError(msg)
    return Path(url.removeprefix("sqlite:///"))


def _postgresql_location(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        msg = (
            "PROMPTLOOPER_DATABASE_URL is neither sqlite:///FILE nor "
            "postgresql://USER@HOST/NAME"
        )
        raise SettingsError(msg)
    try:
        import psycopg  # noqa: F401, PLC0415  an extra, and slow to import
    except ModuleNotFoundError:
        msg = (
            "PROMPTLOOPER_DATABASE_URL names PostgreSQL, but its driver is missing: "
            "pip install 'promptlooper-export[postgres]'"
        )
        raise SettingsError(msg) from None
    return "postgresql://" + url.split("://", 1)[1]


def close(database: Database) -> None:
    """Close the connections that are not in use, those of a pool included."""
    if isinstance(database, PooledPostgresqlDatabase):
        database.close_idle()
    database.close()


@contextmanager
def reading(database: Database) -> Iterator[Session]:
    """Open a connection and one snapshot of the database for the length of the block.

    Raises DatabaseUnavailableError where the database does not answer or is not
    migrated.
    """
    with refusals(), database.connection_context(), database.atomic() as transaction:
        session = Session(database, transaction)
        try:
            yield session
        finally:
            session.end_streams()


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    """Open a connection and a transaction to write in for the length of the block.

    Raises DatabaseUnavailableError where the database does not answer or is not
    migrated.
    """
    # A deferred transaction that read first could not be upgraded to write.
    lock = ("IMMEDIATE",) if isinstance(database, SqliteDatabase) else ()
    with (
        refusals(),
        database.connection_context(),
        database.atomic(*lock) as transaction,
    ):
        yield Session(database, transaction)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a driver raises within the block into DatabaseUnavailableError."""
    try:
        yield
    except MaxConnectionsExceeded as error:
        msg = "All connections to the database are taken; try again shortly."
        raise DatabaseUnavailableError(msg) from error
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        raise _refusal(error) from error


def _refusal(error: PeeweeException) -> DatabaseUnavailableError:
    """Turn a driver's error into what a person can do about it."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else "no details"
    if "no such table" in text or ("relation" in text and "does not exist" in text):
        msg = f"The database is not migrated ({text}); run: promptlooper-export migrate"
    else:
        msg = f"The database does not answer: {text}"
    return DatabaseUnavailableError(msg)
