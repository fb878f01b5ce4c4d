"""How a moment of the database begins: a transaction, its tables and its token."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
)
from promptlooper_export.store.catalog import Catalog, fingerprint, read_catalog
from promptlooper_export.store.connection import (
    Session,
    glance,
    open_for_reading,
    reading,
)
from promptlooper_export.store.earlier import is_earlier
from promptlooper_export.store.freshness import SNAPSHOT, Sentinel, Token, taking_token
from promptlooper_export.store.locations import sqlite_path
from promptlooper_export.store.refusals import sqlstate
from promptlooper_export.store.write_ahead_log import WriteAheadLog

PING_SECONDS = 5
"""How long a database may take to prove that it can be read."""

_ATTEMPTS = 6
"""How often to ask for the locks; each time waits a little less than a second."""

_PASSING = {"55P03", "40P01", "42P01", "42809"}
"""SQLSTATEs that may pass: a lock that was not given, a deadlock, a table that is gone,
and one that is now something that cannot be locked, such as a view."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What was last found, and the token under which it certainly holds."""

    catalog: Catalog | None = None
    token: Token | None = None


class _Watched:
    """A SQLite file: whether it has changed, and whether its log lets us read."""

    def __init__(self, path: Path) -> None:
        self.sentinel = Sentinel(path)
        self.log = WriteAheadLog(path)


class Moments:
    """Begins moments of one database.

    At most `connections` are open at once, and each lasts at most `seconds`.
    """

    def __init__(self, url: str, *, connections: int, seconds: float) -> None:
        path = sqlite_path(url)
        self._pool = open_for_reading(url, connections=connections, seconds=seconds)
        self._probe = self._pool.another(size=1, seconds=min(PING_SECONDS, seconds))
        self._sqlite = None if path is None else _Watched(path.resolve())
        self._known = _Known()

    def begin(
        self, *, deadline: float = math.inf
    ) -> AbstractContextManager[tuple[Session, Catalog, Token | None]]:
        """Begin a moment: a session in it, its tables, and its token if it is exact.

        Raises DatabaseUnavailableError, and TimeoutError after the deadline.
        """
        if self._sqlite is None:
            return self._look_at_postgresql(deadline)
        return self._look_at_sqlite(self._sqlite, deadline)

    def token(self, *, deadline: float = math.inf) -> Token | None:
        """Return the token of this moment, without beginning it; None if unknown.

        Raises DatabaseUnavailableError, and TimeoutError after the deadline.
        """
        if self._sqlite is not None:
            return self._sqlite.sentinel.token()
        catalog = self._known.catalog
        if catalog is None or catalog.lockable is None:
            return None
        # Without locks, since nothing is read: what was kept under this token was read
        # behind them, and nobody has committed since.
        row = glance(self._pool, SNAPSHOT, deadline=deadline)
        return row and row[0]

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._pool.close()
        self._probe.close()
        if self._sqlite is not None:
            self._sqlite.sentinel.close()
            self._sqlite.log.close()

    def ping(self) -> None:
        """Raise DatabaseUnavailableError unless the database can be read.

        Over a connection of its own, since exports may have taken all others.
        """
        with reading(self._probe) as session:
            self._current(session)

    @contextmanager
    def _look_at_sqlite(
        self, file: _Watched, deadline: float
    ) -> Iterator[tuple[Session, Catalog, Token | None]]:
        with file.log.reading(deadline):
            # SQLite cannot say which version a snapshot sees. If the sentinel says the
            # same before and after it was taken, nobody committed meanwhile.
            before = file.sentinel.token()
            with reading(self._pool, deadline=deadline) as session:
                catalog = self._current(session)  # here the moment begins
                after = file.sentinel.token()
                yield session, catalog, after if before == after else None

    @contextmanager
    def _look_at_postgresql(
        self, deadline: float
    ) -> Iterator[tuple[Session, Catalog, Token | None]]:
        with ExitStack() as stack:
            session, known = self._begin_behind_locks(stack, deadline)
            # What the last statement of the beginning gave; None on a standby and for
            # views, where a snapshot proves nothing.
            token = None if session.begun is None else session.begun[0]
            catalog = known.catalog
            # Under the same token the tables are the same, so they are not looked at.
            if catalog is None or token is None or token != known.token:
                catalog = self._current(session)
                if catalog is not known.catalog:
                    token = None  # the lock was on other tables
                self._known = _Known(catalog=catalog, token=token)
            yield session, catalog, token

    def _begin_behind_locks(
        self, stack: ExitStack, deadline: float
    ) -> tuple[Session, _Known]:
        """Begin a snapshot after taking the locks that make it exact.

        Tries again if a table has gone since it was last looked at, or if somebody's
        DDL holds a lock for long: waiting for one lock while holding another could end
        in a deadlock, so all are given up in between.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            if self._known.catalog is None:
                with reading(self._pool, deadline=deadline) as session:
                    self._current(session)
            # Another thread may replace it, so this one keeps what it locks by.
            known = self._known
            try:
                session = stack.enter_context(
                    reading(
                        self._pool,
                        then=taking_token(known.catalog),
                        deadline=deadline,
                    )
                )
            except DatabaseUnavailableError as error:
                if sqlstate(error) not in _PASSING or attempt == _ATTEMPTS:
                    raise
                # A table that is gone must be looked for anew, else all attempts fail.
                self._known = _Known()
            else:
                return session, known
        msg = "unreachable: the last attempt returns or raises"
        raise AssertionError(msg)

    def _current(self, session: Session) -> Catalog:
        """Return the catalog, looked at again if tables or columns changed."""
        found = self._known.catalog
        # A catalog takes several statements; the fingerprint of the tables takes one.
        if found is None or found.fingerprint != fingerprint(session):
            if is_earlier(session):
                msg = (
                    "An earlier version left tables and triggers in this database; "
                    "run: promptlooper-export migrate"
                )
                raise DatabaseNotUnderstoodError(msg)
            found = read_catalog(session)
            self._known = _Known(catalog=found)
        return found
