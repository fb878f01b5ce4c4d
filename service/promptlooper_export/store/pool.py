"""Connections for reading, which are lent for a transaction and stay open in between.

peewee's own pool connects while it holds the lock that everybody needs, so one server
that does not answer would hold up all. Here each connection is a database of its own,
and whoever waits for the server waits alone, no longer than its time lasts.
"""

import math
import sqlite3
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from select import POLLIN, poll
from typing import Any

from peewee import Database, OperationalError, PostgresqlDatabase, SqliteDatabase

from promptlooper_export.errors import DatabaseUnavailableError
from promptlooper_export.store.locations import SqliteFile
from promptlooper_export.store.rows import microseconds

WAIT_SECONDS = 5
"""How long to wait for a connection while all are lent."""

IDLE_SECONDS = 300
"""How long an idle connection stays good: firewalls forget those that say nothing."""

CONNECT_SECONDS = 3
"""How long to try each address of a server."""

_STEPS = 1_000_000
"""After how many of its steps, some tens of milliseconds, SQLite asks for the time."""

_GRACE_SECONDS = 1
"""How long PostgreSQL may take to say that it gave up."""


class Readable(Database):
    """A database that one thread at a time reads, over one connection."""

    until: float = math.inf
    """When to give up waiting, as a moment of time.monotonic()."""

    @abstractmethod
    def is_fit(self) -> bool:
        """Return whether the open connection may be used for another transaction."""


class ReadableSqlite(Readable, SqliteDatabase):
    """SQLite whose connection is fit as long as nobody has touched the file.

    A commit that goes into the log beside the file leaves the connection fit.
    """

    def __init__(self, opened: "Opened") -> None:
        self._opened = opened
        self._opening: object = None
        super().__init__(
            "file:",  # which file is asked at each opening
            uri=True,
            factory=_Connection,
            thread_safe=False,
            check_same_thread=False,
            # A second lock: even in a file opened as "rw", nothing can be written.
            pragmas={"query_only": 1, "busy_timeout": 2000},
        )

    def is_fit(self) -> bool:
        """Return whether the path still leads to the file as it was opened."""
        return self._opened.now()[0] == self._opening

    def _connect(self) -> Any:
        self._opening, self.database = self._opened.now()
        connection = super()._connect()  # type: ignore[misc]  # no stub
        connection.set_progress_handler(self._is_late, _STEPS)
        return connection

    def _is_late(self) -> bool:
        return time.monotonic() > self.until


class Opened:
    """How a SQLite file is to be opened at the moment, the same for all connections."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._turn = threading.Lock()

    def now(self) -> tuple[object, str]:
        """Return what tells one file from another, and the URI; may copy the file.

        Raises OperationalError if it cannot be copied.
        """
        with self._turn:
            try:
                return self._file.opening(), self._file.location
            except OSError as error:
                raise OperationalError(str(error)) from error


class _Connection(sqlite3.Connection):
    """A connection that knows our functions."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.create_function("microseconds", 1, microseconds, deterministic=True)


def decode_all(database: Database, error: Exception) -> bool:
    """Have text that is not UTF-8 given as well, its bytes as lone surrogates.

    Return whether that is what the error is about. It is done only then, since it takes
    Python for each text.
    """
    if not str(error).startswith("Could not decode to UTF-8"):
        return False
    factory = partial(str, encoding="utf-8", errors="surrogateescape")
    database.connection().text_factory = factory
    return True


class ReadablePostgresql(Readable, PostgresqlDatabase):
    """PostgreSQL that gives times beyond our calendar as well: as text.

    Neither the server nor the network can make it wait beyond `until`.
    """

    def __init__(self, location: str) -> None:
        super().__init__(
            location,
            prefer_psycopg3=True,
            thread_safe=False,
            context=_adapters(),
            connect_timeout=CONNECT_SECONDS,
            # A pooler may run the next transaction in a session without its statements.
            prepare_threshold=None,
        )

    def is_fit(self) -> bool:
        """Return whether the connection is idle, and silent at its other end.

        A server that ended it has said so, or the network has.
        """
        connection = self.connection()
        if not self._adapter.is_connection_reusable(connection):  # type: ignore[attr-defined]
            return False
        ends = poll()
        ends.register(connection.fileno(), POLLIN)
        return not ends.poll(0)

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # no stub
        wait = connection.wait

        def wait_in_time(steps: Any, *args: Any, **options: Any) -> Any:
            return wait(self._in_time(steps), *args, **options)

        connection.wait = wait_in_time
        return connection

    def _in_time(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what the driver waits for, and give up when it is late."""
        ready = None
        while True:
            try:
                wanted = steps.send(ready)
            except StopIteration as ended:
                return ended.value
            ready = yield wanted
            # The driver looks up ten times a second, whatever happens.
            if not ready and time.monotonic() > self.until + _GRACE_SECONDS:
                msg = "The database does not answer: it has said nothing for too long."
                raise DatabaseUnavailableError(msg)


@lru_cache(maxsize=1)
def _adapters() -> Any:
    import psycopg
    from psycopg.adapt import AdaptersMap
    from psycopg.types import datetime

    adapters = AdaptersMap(psycopg.adapters)
    for name, loader in (
        ("timestamptz", datetime.TimestamptzLoader),
        ("timestamp", datetime.TimestampLoader),
        ("date", datetime.DateLoader),
    ):
        adapters.register_loader(name, _tolerant(loader))
    return adapters


def _tolerant(loader: Any) -> Any:
    from psycopg import DataError

    class TolerantLoader(loader):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    return TolerantLoader


class Pool:
    """At most `size` connections; a transaction may take `seconds` in all."""

    def __init__(
        self, make: Callable[[], Readable], *, size: int, seconds: float
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._free = size
        self._idle: list[tuple[float, Readable]] = []
        self._changed = threading.Condition()

    def another(self, *, size: int, seconds: float) -> "Pool":
        """Return a pool of connections to the same database, apart from these."""
        return Pool(self._make, size=size, seconds=seconds)

    @contextmanager
    def lend(self, deadline: float = math.inf) -> Iterator[Readable]:
        """Lend an open connection for the length of the block.

        It waits until the deadline at most. Raises DatabaseUnavailableError if none
        becomes free, and what connecting raises.
        """
        until = min(deadline, time.monotonic() + self._seconds)
        with self._changed:
            patience = min(WAIT_SECONDS, until - time.monotonic())
            if not self._changed.wait_for(lambda: self._free, patience):
                msg = "All connections to the database are taken; try again shortly."
                raise DatabaseUnavailableError(msg)
            self._free -= 1
            # The one used last: others grow old.
            used_at, database = self._idle.pop() if self._idle else (0, self._make())
        is_old = time.monotonic() - used_at > IDLE_SECONDS
        database.until = until
        try:
            if not database.is_closed() and (is_old or not database.is_fit()):
                database.close()
            database.connect(reuse_if_open=True)
            yield database
        finally:
            self._give_back(database)

    def close(self) -> None:
        """Close the connections that are not lent."""
        with self._changed:
            while self._idle:
                self._idle.pop()[1].close()

    def _give_back(self, database: Readable) -> None:
        database.until = math.inf
        with self._changed:
            self._free += 1
            if not database.is_closed():
                self._idle.append((time.monotonic(), database))
            self._changed.notify()
