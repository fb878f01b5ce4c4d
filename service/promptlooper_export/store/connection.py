"""Connections to databases: read-only for exports, and for writing to our own.

Nothing is set for a session as a whole: settings go with each transaction, so that a
pooler which lends the session to others between transactions does no harm, and the
options of a URL or of PGOPTIONS stay as they are.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Literal
from uuid import UUID, uuid4

from peewee import (
    Database,
    DatabaseError,
    InterfaceError,
    OperationalError,
    PostgresqlDatabase,
    SqliteDatabase,
)

from promptlooper_export.store.locations import (
    SqliteFile,
    postgresql_location,
    sqlite_path,
)
from promptlooper_export.store.pool import (
    CONNECT_SECONDS,
    Opened,
    Pool,
    Readable,
    ReadablePostgresql,
    ReadableSqlite,
    decode_all,
)
from promptlooper_export.store.refusals import in_time, refusals

Row = tuple[Any, ...]

READ_SECONDS = 60
"""How long one statement of an export may take on PostgreSQL."""

_FIRST_TOGETHER = 50
_MOST_TOGETHER = 1000
_CHARACTERS_TOGETHER = 2_000_000
"""Rows that PostgreSQL sends together if they are streamed, by what they hold."""

_HURRY = 0.8
"""The part of PostgreSQL's time limit below which the rest of the time is its limit."""

LOCK_SECONDS = 30
"""How long a writer waits for a lock."""

_CACHE_KIB = 1 << 16
"""How much of a database SQLite holds in memory while it is written to.

Rows go to random places of the indexes, since ids are random. With the 2 MiB that
SQLite has by default, pages of an index are written and read again and again.
"""

_BEGIN_READING = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SET LOCAL statement_timeout = {limit};"
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
        rows: list[Row] = self._fetched(sql, values, "fetchall")
        return rows

    def one(self, sql: str, *values: object) -> Row | None:
        """Run a statement and fetch its first row, or None."""
        row: Row | None = self._fetched(sql, values, "fetchone")
        return row

    def _fetched(
        self,
        sql: str,
        values: tuple[object, ...],
        fetch: Literal["fetchall", "fetchone"],
    ) -> Any:
        try:
            return getattr(self._execute(sql, values), fetch)()
        except (OperationalError, sqlite3.OperationalError) as error:
            if not decode_all(self.database, error):
                raise
        return getattr(self._execute(sql, values), fetch)()

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
            done = 0
            try:
                for row in self._execute(sql, values):
                    yield row
                    done += 1
            except (OperationalError, sqlite3.OperationalError) as error:
                if not decode_all(self.database, error):
                    raise
            else:
                return
            # Within a transaction, the same rows come in the same order.
            yield from islice(self._execute(sql, values), done, None)
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


def open_for_reading(
    url: str,
    *,
    connections: int = 16,
    seconds: float = math.inf,
    is_read_long: bool = True,
) -> Pool:
    """Open a database that nothing can be written to.

    At most `connections` are open; a transaction may take `seconds`. SQLite is told
    whether more than a few rows are read at once. Raises SettingsError for a URL that
    is neither SQLite's nor PostgreSQL's.
    """
    make: Callable[[], Readable]
    if (path := sqlite_path(url)) is not None:
        file = SqliteFile(path.resolve(), is_read_long=is_read_long)
        make = partial(ReadableSqlite, Opened(file))
    else:
        make = partial(ReadablePostgresql, postgresql_location(url))
    return Pool(make, size=connections, seconds=seconds)


def open_for_writing(url: str) -> Database:
    """Open a database to write to; a missing SQLite file is created.

    Raises SettingsError for a URL that is neither SQLite's nor PostgreSQL's.
    """
    if (path := sqlite_path(url)) is not None:
        pragmas = {"busy_timeout": LOCK_SECONDS * 1000, "cache_size": -_CACHE_KIB}
        return SqliteDatabase(str(path), pragmas=pragmas)
    return PostgresqlDatabase(
        postgresql_location(url),
        prefer_psycopg3=True,
        connect_timeout=CONNECT_SECONDS,
        prepare_threshold=None,
    )


@contextmanager
def reading(
    pool: Pool, *, then: str | None = None, deadline: float = math.inf
) -> Iterator[Session]:
    """Begin a read-only transaction that sees one moment, for the length of the block.

    On PostgreSQL, the statements `then` are part of the beginning; the last one's row
    is the session's `begun`. Raises DatabaseUnavailableError if the database does not
    answer or cannot be read, and TimeoutError after `deadline`, a moment of
    time.monotonic().
    """
    # A server that cannot be reached is away, however long that took to find out.
    with (
        refusals(),
        pool.lend(deadline) as database,
        in_time(deadline),
        refusals(),
    ):
        session = Session(database, deadline=deadline)
        try:
            _begin(session, database.until, then)
            yield session
        finally:
            session.end_streams()
            _end(session)


def glance(pool: Pool, sql: str, *, deadline: float = math.inf) -> Row | None:
    """Run one quick statement without a transaction around it, and return its row.

    Raises what `reading` raises.
    """
    with (
        refusals(),
        pool.lend(deadline) as database,
        in_time(deadline),
        refusals(),
    ):
        return Session(database, deadline=deadline).script(sql)


def _begin(session: Session, until: float, then: str | None) -> None:
    """Begin the transaction: SQLite sees the moment of the first look at a table."""
    if session.kind == "sqlite":
        session.script("BEGIN")
        return
    session.seconds = min(READ_SECONDS, until - time.monotonic())
    limit = max(1, math.ceil(1000 * session.seconds))
    sql = _BEGIN_READING.format(limit=limit)
    session.begun = session.script(f"{sql};{then}" if then else sql)


def _end(session: Session) -> None:
    """End a transaction; a connection that cannot is given up, not lent again."""
    try:
        session.script("ROLLBACK")
    except (DatabaseError, InterfaceError):
        session.database.close()


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
