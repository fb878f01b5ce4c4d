"""Connections to databases: read-only for exports, and for writing to our own.

Nothing is set for a session as a whole: settings go with each transaction, so that a
pooler which lends the session to others between transactions does no harm, and the
options of a URL or of PGOPTIONS stay as they are.
"""

import math
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from peewee import (
    Database,
    DatabaseError,
    InterfaceError,
    OperationalError,
    PostgresqlDatabase,
    SqliteDatabase,
)
from playhouse.pool import (
    PooledPostgresqlDatabase,
    PooledSqliteDatabase,
)

from promptlooper_export.store.locations import (
    SqliteFile,
    postgresql_location,
    sqlite_path,
)
from promptlooper_export.store.refusals import in_time, refusals
from promptlooper_export.store.rows import microseconds

Row = tuple[Any, ...]

READ_SECONDS = 60
"""How long one statement of an export may take on PostgreSQL."""

_FIRST_TOGETHER = 50
_MOST_TOGETHER = 1000
_CHARACTERS_TOGETHER = 2_000_000
"""Rows that PostgreSQL sends together if they are streamed, by what they hold."""

_STEPS = 1_000_000
"""After how many of its steps, some tens of milliseconds, SQLite asks for the time."""

_HURRY = 0.8
"""The part of PostgreSQL's time limit below which the rest of the time is its limit."""

LOCK_SECONDS = 30
"""How long a writer waits for a lock."""

_POOLS = (PooledPostgresqlDatabase, PooledSqliteDatabase)

_BEGIN_READING = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SET LOCAL statement_timeout = '{seconds}s';"
    # Below deadlock_timeout, so that a deadlock with somebody's DDL ends with us.
    "SET LOCAL lock_timeout = '900ms';"
    "SET LOCAL idle_in_transaction_session_timeout = '120s';"
    "SET LOCAL timezone = 'UTC';"
    "SET LOCAL datestyle = 'ISO'"
)

_BEGIN_WRITING = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL timezone = 'UTC'"
)


class Session:
    """One transaction on one connection; placeholders are `?` for both databases.

    After `deadline`, a moment of time.monotonic(), statements raise TimeoutError. On
    PostgreSQL one may take `seconds`.
    """

    def __init__(self, database: Database, *, deadline: float = math.inf) -> None:
        self.database = database
        self.deadline = deadline
        self.seconds: float = READ_SECONDS
        self._streams: list[Generator[Row]] = []
        self.begun: Row | None = None
        self.kind = "sqlite" if isinstance(database, SqliteDatabase) else "postgresql"

    def all(self, sql: str, *values: object) -> list[Row]:
        """Run a statement and fetch every row."""
        rows: list[Row] = self._execute(sql, values).fetchall()
        return rows

    def one(self, sql: str, *values: object) -> Row | None:
        """Run a statement and fetch its first row, or None."""
        row: Row | None = self._execute(sql, values).fetchone()
        return row

    def value(self, sql: str, *values: object) -> Any:
        """Run a statement that has one row of one value, and return it."""
        ((value,),) = self.all(sql, *values)
        return value

    def stream(self, sql: str, *values: object) -> Generator[Row]:
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
        # Without a cursor of the server's, the driver fetches every row before it gives
        # the first. One that is given up ends with the transaction: a transaction that
        # has failed would refuse to close it.
        name = f"stream_{uuid4().hex}"
        self._execute(f"DECLARE {name} CURSOR FOR {sql}", values)
        size = _FIRST_TOGETHER
        while rows := self.all(f"FETCH {size} FROM {name}"):
            yield from rows
            if len(rows) < size:
                return
            size = _next_size(size, rows)
        yield from rows
        self.run(f"CLOSE {name}")

    def run(self, sql: str, *values: object) -> int:
        """Run a statement for its effect; the number of rows changed."""
        count: int = self._execute(sql, values).rowcount
        return count

    def script(self, sql: str) -> Row | None:
        """Run statements without values in one go; the last one's first row, if any.

        SQLite takes one statement at a time.
        """
        if self.kind == "sqlite":
            cursor = self.database.execute_sql(sql)
        else:
            # Peewee passes values even if there are none: the driver looks for marks.
            cursor = self.database.execute_sql(sql.replace("%", "%%"))
            while cursor.nextset():
                pass
        row: Row | None = cursor.fetchone() if cursor.description else None
        return row

    def key(self, value: UUID) -> object:
        """Return an id as our own tables hold it."""
        return value.hex if self.kind == "sqlite" else value

    def _execute(self, sql: str, values: tuple[object, ...]) -> Any:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self.kind == "postgresql":
            # Not for each statement, since that would be one more to send.
            if left < _HURRY * self.seconds:
                self.seconds = left
                limit = f"SET LOCAL statement_timeout = {math.ceil(1000 * left)}"
                self.database.execute_sql(limit)
            sql = _for_postgresql(sql)
        return self.database.execute_sql(sql, values)


def _for_postgresql(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class _Connection(sqlite3.Connection):
    """A connection that gives text which is not UTF-8 as well: in lone surrogates.

    `opening` is the state of the file that it was opened on.
    """

    opening: object = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        self.create_function("microseconds", 1, microseconds, deterministic=True)


class _ReadableSqlite(PooledSqliteDatabase):  # type: ignore[misc]  # no stub
    """SQLite whose connections stay open as long as the path leads to the same file.

    A file that was replaced is read through new connections. Where a connection leads
    is decided when the pool gives it out, for which the pool has no public hook.
    """

    def __init__(self, file: SqliteFile, **options: Any) -> None:
        self._file = file
        self._opening: object = None
        self._turn = Lock()
        super().__init__(file.location, uri=True, factory=_Connection, **options)

    def _connect(self) -> Any:
        with self._turn:
            try:
                self._opening = self._file.opening()
            except OSError as error:  # of a file that is copied to be read
                raise OperationalError(str(error)) from error
            self.database = self._file.location
            connection = super()._connect()
            connection.opening = self._opening
            return connection

    def _is_closed(self, conn: Any) -> bool:
        if conn.opening == self._opening:
            return False
        conn.close()
        return True


class _ReadablePostgresql(PooledPostgresqlDatabase):  # type: ignore[misc]  # no stub
    """PostgreSQL that gives times beyond our calendar as well: as text."""

    def __init__(self, location: str, *, read_seconds: int, **options: Any) -> None:
        import psycopg
        from psycopg.adapt import AdaptersMap
        from psycopg.types import datetime

        self.beginning = _BEGIN_READING.format(seconds=read_seconds)
        adapters = AdaptersMap(psycopg.adapters)
        for name, loader in (
            ("timestamptz", datetime.TimestamptzLoader),
            ("timestamp", datetime.TimestampLoader),
            ("date", datetime.DateLoader),
        ):
            adapters.register_loader(name, _tolerant(loader))
        super().__init__(location, context=adapters, **options)


def _tolerant(loader: Any) -> Any:
    from psycopg import DataError

    class TolerantLoader(loader):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    return TolerantLoader


def open_for_reading(
    url: str,
    *,
    connections: int = 16,
    seconds: int = READ_SECONDS,
    is_read_long: bool = True,
) -> Database:
    """Open a database that nothing can be written to.

    At most `connections` are open; on PostgreSQL a statement may take `seconds`, and
    SQLite is told whether more than a few rows are read at once. Raises SettingsError
    for a URL that is neither SQLite's nor PostgreSQL's.
    """
    if (path := sqlite_path(url)) is not None:
        database: Database = _ReadableSqlite(
            SqliteFile(path.resolve(), is_read_long=is_read_long),
            max_connections=connections,
            timeout=5,
            check_same_thread=False,
            # A second lock: even in a file opened as "rw", nothing can be written.
            pragmas={"query_only": 1, "busy_timeout": 2000},
        )
        return database
    pool: Database = _ReadablePostgresql(
        postgresql_location(url),
        prefer_psycopg3=True,
        max_connections=connections,
        timeout=5,
        stale_timeout=300,
        connect_timeout=3,
        tcp_user_timeout=seconds * 1000,
        # A pooler may run the next transaction in a session that has not prepared it.
        prepare_threshold=None,
        read_seconds=seconds,
    )
    return pool


def open_for_writing(url: str) -> Database:
    """Open a database to write to; a missing SQLite file is created.

    Raises SettingsError for a URL that is neither SQLite's nor PostgreSQL's.
    """
    if (path := sqlite_path(url)) is not None:
        return SqliteDatabase(str(path), pragmas={"busy_timeout": LOCK_SECONDS * 1000})
    return PostgresqlDatabase(
        postgresql_location(url),
        prefer_psycopg3=True,
        connect_timeout=3,
        prepare_threshold=None,
    )


def close(database: Database) -> None:
    """Close the connections that are not in use, those of a pool included."""
    if isinstance(database, _POOLS):
        database.close_idle()
    database.close()


@contextmanager
def reading(
    database: Database, *, then: str | None = None, deadline: float = math.inf
) -> Iterator[Session]:
    """Begin a read-only transaction that sees one moment, for the length of the block.

    On PostgreSQL, the statements `then` are part of the beginning; the last one's row
    is the session's `begun`. Raises DatabaseUnavailableError if the database does not
    answer or cannot be read, and TimeoutError after `deadline`, a moment of
    time.monotonic().
    """
    with in_time(deadline), refusals(), database.connection_context():
        session = Session(database, deadline=deadline)
        try:
            begin(session, then)
            with _interrupted(database, deadline):
                yield session
        finally:
            session.end_streams()
            _end(session)


@contextmanager
def _interrupted(database: Database, deadline: float) -> Iterator[None]:
    """Let SQLite give up a statement after the deadline; PostgreSQL has its limit."""
    if math.isinf(deadline) or not isinstance(database, SqliteDatabase):
        yield
        return
    connection = database.connection()
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def begin(session: Session, then: str | None = None) -> None:
    """Begin the transaction: SQLite sees the moment of the first look at a table."""
    if not isinstance(session.database, _ReadablePostgresql):
        session.script("BEGIN")
        return
    sql = session.database.beginning
    left = session.deadline - time.monotonic()
    if left < READ_SECONDS:
        session.seconds = max(1, math.ceil(left))
        sql = f"{sql};SET LOCAL statement_timeout = '{session.seconds}s'"
    session.begun = session.script(f"{sql};{then}" if then else sql)


def _end(session: Session) -> None:
    """End a transaction, unless SQLite has ended it or the connection is lost."""
    with suppress(DatabaseError, InterfaceError):
        session.script("ROLLBACK")


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    """Open a connection and a transaction to write in for the length of the block.

    Raises DatabaseUnavailableError if the database does not answer or refuses.
    """
    # A deferred transaction that read first could not be upgraded to write.
    lock = ("IMMEDIATE",) if isinstance(database, SqliteDatabase) else ()
    with (
        refusals(),
        database.connection_context(),
        database.atomic(*lock),
    ):
        session = Session(database)
        if session.kind == "postgresql":
            session.script(_BEGIN_WRITING)
        yield session


def _next_size(size: int, rows: Sequence[Row]) -> int:
    """Return how many rows to fetch together after these."""
    some = rows[:: max(1, len(rows) // 10)]
    characters = sum(len(one) for row in some for one in row if isinstance(one, str))
    fitting = _CHARACTERS_TOGETHER * len(some) // max(1, characters)
    return max(1, min(2 * size, fitting, _MOST_TOGETHER))
