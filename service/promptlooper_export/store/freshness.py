"""Answers kept as long as an exact token says that nothing has changed.

SQLite: `PRAGMA data_version` of one connection that only looks, which changes with
every commit of another connection, together with the identity of the file. It belongs
to a snapshot if it is the same before the snapshot was taken and after.

PostgreSQL: the snapshot itself, as `pg_current_snapshot()` writes it. Every transaction
that has written takes part in it until it ends. The tables are locked (ACCESS SHARE, as
by any reader) before it is taken: TRUNCATE and some forms of ALTER TABLE change what
older snapshots see, and wait for that lock. A standby's snapshot does not list all that
runs on the primary, so nothing is kept there.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from peewee import OperationalError

from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.locations import Look, SqliteFile
from promptlooper_export.store.refusals import refusals

V = TypeVar("V")

MOST_ENTRIES = 512
"""The largest number of answers that are kept."""

MOST_BYTES = 64 << 20
"""The most memory they take, in bytes, as estimated by whoever keeps them."""

SNAPSHOT = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN CAST(pg_current_snapshot() AS text) END
"""
"""What gives PostgreSQL's token."""

# Sent with the beginning of the transaction: LOCK TABLE takes no snapshot, so the
# moment is that of the SELECT, after the locks.
_LOCK = f"LOCK TABLE {{tables}} IN ACCESS SHARE MODE;{SNAPSHOT}"

_PRIMARY = 0xFF
"""The part of an extended result code of SQLite that names the kind of error."""

Token = Hashable
"""What stays the same as long as the database does."""


def taking_token(catalog: Catalog | None) -> str | None:
    """Return the statements that take the token; None if it would not be exact.

    They follow the beginning of a transaction, and the last one's value is the token.
    """
    if catalog is None or catalog.lockable is None:
        return None
    return _LOCK.format(tables=", ".join(catalog.lockable))


class Sentinel:
    """One connection of a process that only asks whether a SQLite file has changed."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: object = None
        self._openings = 0

    def token(self) -> Token | None:
        """Return the token of this moment; raises DatabaseUnavailableError.

        None while a commit has the file locked. Waiting for it could last: outside WAL
        the commit itself waits for the snapshot that the token is for.

        The file's size and time are part of it, which tell that it was written over
        without SQLite's knowledge.
        """
        with self._turn, refusals(), _driver_errors():
            # Exports read a copy of such a file, which says nothing about the file: its
            # size and time are all there is.
            look = self._file.look()
            if look is not None and look.mode in ("copy", "backup"):
                self._close()
                return self._file.settled_state()
            connection = self._open(look)
            try:
                (version,) = connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY:
                    return None
                raise
            if look is None:  # there was no file a moment ago
                return None
            found = look.found
            return (self._openings, version, found.st_size, found.st_mtime_ns)

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._close()

    def _open(self, look: Look | None) -> sqlite3.Connection:
        # data_version is comparable on one connection only, so a new one begins a new
        # series: `_openings` is part of the token.
        opening = None if look is None else look.identity
        if self._connection is not None and opening == self._opened:
            return self._connection
        self._close()
        self._connection = sqlite3.connect(
            self._file.uri(look),
            uri=True,
            isolation_level=None,
            timeout=0,  # a token that takes a while would be of no moment
            check_same_thread=False,
        )
        self._connection.execute("PRAGMA query_only = 1")
        self._opened = opening
        self._openings += 1
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OperationalError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class _Entry:
    token: Token
    value: Any
    size: int


class Kept:
    """Answers by key, each valid for one token; the least recently used go first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._turns: dict[Hashable, _Turn] = {}

    def get(self, key: Hashable, token: Token | None) -> Any:
        """Return what is kept under the key for this token, else None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or token is None or entry.token != token:
                return None
            # Order is by last use, so the first entry is the one to drop.
            self._entries.move_to_end(key)
            return entry.value

    def last(self, key: Hashable) -> Any:
        """Return what was kept last under the key, whatever has changed since."""
        with self._lock:
            entry = self._entries.get(key)
            return entry and entry.value

    def put(self, key: Hashable, token: Token | None, value: object, size: int) -> None:
        """Keep an answer of about `size` bytes, unless that is too much."""
        # One answer that took most of the room would drop all others.
        if token is None or size > MOST_BYTES // 4:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = _Entry(token=token, value=value, size=size)
            self._size += size
            while len(self._entries) > MOST_ENTRIES or self._size > MOST_BYTES:
                self._drop(next(iter(self._entries)))

    def find(
        self,
        key: Hashable,
        token: Token | None,
        compute: Callable[[], V],
        *,
        size: Callable[[V], int] = lambda _: 4096,
    ) -> V:
        """Return what is kept, else compute and keep it, once for everyone who asks."""
        # Without turns, a change under load would have every waiting request compute
        # the same answer at once. Other keys are not held up.
        with self._turn(key):
            value: V | None = self.get(key, token)
            # Those who waited find it kept, unless their snapshot is of another moment.
            if value is None:
                value = compute()
                self.put(key, token, value, size(value))
            return value

    @contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.waiting -= 1
                # The last one out removes the turn, so that keys do not pile up.
                if not turn.waiting:
                    self._turns.pop(key, None)

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size


class _Turn:
    """Lets one thread compute an answer while the others that want it wait."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.waiting = 0
