"""Grants and revoked tokens, wherever they are kept.

They are in the database of STATE_URL if that is set; else in the runner's database if
`migrate` made them there; else, for SQLite, in `FILE.export-state` beside it; else
nowhere, and every valid token opens what is open. A grantee is `user:SUB` or
`group:NAME`, after the claims of a token.

Whatever is there and cannot be read, and whatever was there and is gone, refuses
instead of opening up.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from peewee import DatabaseError

from promptlooper_export.errors import (
    DatabaseUnavailableError,
    MigrationError,
    SettingsError,
)
from promptlooper_export.store.connection import (
    Session,
    open_for_reading,
    open_for_writing,
    reading,
    writing,
)
from promptlooper_export.store.earlier import Remains, refuse_earlier
from promptlooper_export.store.locations import sqlite_path
from promptlooper_export.store.parts import STATE, latest, recorded
from promptlooper_export.store.pool import Pool

VARIABLE = "PROMPTLOOPER_STATE_URL"
MIGRATE = "promptlooper-export migrate"
BESIDE = ".export-state"

KEPT_SECONDS = 3600
"""How long after its end a revoked token is remembered: longer than clocks differ."""

STATE_SECONDS = 2
"""How long a database may take to name grants or revoked tokens, which are few."""

_TABLES = {
    "sqlite": {"grants": "export_grants", "revoked": "export_revoked_tokens"},
    "postgresql": {
        "grants": "promptlooper_export.grants",
        "revoked": "promptlooper_export.revoked_tokens",
    },
}

_IS_HERE = {
    # A runner may have tables of these names; ours are told by their columns.
    "sqlite": """
        SELECT EXISTS (
            SELECT 1 FROM pragma_table_info('export_grants') WHERE name = 'grantee'
        ) OR EXISTS (
            SELECT 1 FROM pragma_table_info('export_revoked_tokens') WHERE name = 'jti'
        )
    """,
    "postgresql": """
        SELECT to_regclass('promptlooper_export.grants') IS NOT NULL
            OR to_regclass('promptlooper_export.revoked_tokens') IS NOT NULL
    """,
}

_GRANTEES = "SELECT grantee FROM {grants} WHERE experiment_id = ?"

_GRANTS = "SELECT experiment_id, grantee FROM {grants}"

# Granting or revoking twice is not an error, and two processes may do so at once.
_GRANT = "INSERT INTO {grants} VALUES (?, ?) ON CONFLICT DO NOTHING"

_REVOKE = "DELETE FROM {grants} WHERE experiment_id = ? AND grantee = ?"

_REVOKED_TOKENS = "SELECT jti FROM {revoked}"

_REVOKE_TOKEN = "INSERT INTO {revoked} VALUES (?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S105  no secret

_FORGET_TOKENS = "DELETE FROM {revoked} WHERE expires_at < ?"


class State:
    """Grants and revocations, wherever they are kept.

    The methods take the open session on the runner's database, which may hold them.
    """

    def __init__(
        self,
        database_url: str,
        state_url: str | None,
        *,
        connections: int = 16,
    ) -> None:
        self._is_named = state_url is not None
        self._file = beside(database_url)
        self._apart: Pool | None = None
        url = (
            state_url if self._file is None else state_url or f"sqlite:///{self._file}"
        )
        if url is not None:
            with named_in_errors(state_url):
                self._apart = open_for_reading(
                    url,
                    connections=connections,
                    seconds=STATE_SECONDS,
                    is_read_long=False,
                )
        # Once seen, a state that is missing refuses: its grants may hide experiments.
        self._was_there = self._is_named

    def grantees(
        self, session: Session | None, experiment: UUID
    ) -> tuple[frozenset[str], bool]:
        """Return to whom an experiment is granted, and whether `session` said so.

        No session is needed if the state is elsewhere. Raises DatabaseUnavailableError.
        """
        with self._found(session) as found:
            names = [] if found is None else _grantees(found, experiment)
            return frozenset(names), found is not None and found is session

    def grants(self, session: Session) -> Mapping[UUID, frozenset[str]]:
        """Return all grants by experiment; raises DatabaseUnavailableError."""
        granted: dict[UUID, set[str]] = {}
        with self._found(session) as found:
            rows = [] if found is None else found.all(in_state(found, _GRANTS))
        for experiment, grantee in rows:
            granted.setdefault(UUID(str(experiment)), set()).add(grantee)
        return {experiment: frozenset(names) for experiment, names in granted.items()}

    def revoked_tokens(self, session: Session | None) -> frozenset[str]:
        """Return the `jti` of every revoked token; raises DatabaseUnavailableError.

        No session is needed if STATE_URL is set.
        """
        with self._found(session) as found:
            rows = [] if found is None else found.all(in_state(found, _REVOKED_TOKENS))
        return frozenset(jti for (jti,) in rows)

    def close(self) -> None:
        """Close every connection that is not in use."""
        if self._apart is not None:
            self._apart.close()

    @contextmanager
    def _found(self, session: Session | None) -> Iterator[Session | None]:
        """Give a session on the state, None if there is no state at all.

        It is looked for each time: `migrate` may make one while the service runs.
        """
        if session is not None and not self._is_named and _is_here(session):
            self._was_there = True
            yield session
        elif self._apart is not None and (self._is_named or _is_file(self._file)):
            with _reading(self._apart) as found:
                self._was_there = True
                yield found
        elif self._was_there:
            msg = (
                "The grants and revocations were there and are gone; bring them back, "
                "or start the service anew without them."
            )
            raise DatabaseUnavailableError(msg)
        else:
            yield None


def open_state(database_url: str, state_url: str | None) -> State:
    """Open the state for reading.

    Raises SettingsError if it is named and cannot be used, or there and unreadable.
    """
    file = beside(database_url)
    if state_url is not None:
        _require_usable(state_url, name=VARIABLE)
    elif file is not None and _is_file(file):
        _require_usable(f"sqlite:///{file}", name=str(file))
    return State(database_url, state_url)


def locate(database_url: str, state_url: str | None) -> str | None:
    """Return in words where the state is, None if there is none.

    Raises SettingsError for one that cannot be used, and DatabaseUnavailableError.
    """
    open_state(database_url, state_url).close()
    if state_url is not None:
        return VARIABLE
    url = place(database_url, state_url)
    if url is None:
        return None
    _require_usable(url, name="the state")
    return "the database itself" if url == database_url else str(beside(database_url))


def grantees(
    database_url: str, state_url: str | None, experiment: UUID
) -> tuple[str, ...]:
    """Return to whom an experiment is granted; raises DatabaseUnavailableError."""
    url = place(database_url, state_url)
    if url is None:
        return ()
    with looking(url) as session:
        _require_here(session)
        return tuple(sorted(_grantees(session, experiment)))


def grant(
    database_url: str, state_url: str | None, experiment: UUID, grantee: str
) -> tuple[str, ...]:
    """Grant an experiment, and return all to whom it is granted then.

    Raises MigrationError if there is no state, and DatabaseUnavailableError.
    """
    return _change(_GRANT, database_url, state_url, experiment, grantee)


def revoke(
    database_url: str, state_url: str | None, experiment: UUID, grantee: str
) -> tuple[str, ...]:
    """Take a grant back if there is one, and return all that are left.

    Raises MigrationError if there is no state, and DatabaseUnavailableError.
    """
    return _change(_REVOKE, database_url, state_url, experiment, grantee)


def _change(
    sql: str, database_url: str, state_url: str | None, experiment: UUID, grantee: str
) -> tuple[str, ...]:
    with writing_state(database_url, state_url) as session:
        session.run(in_state(session, sql), session.key(experiment), grantee)
        return tuple(sorted(_grantees(session, experiment)))


def revoke_token(
    database_url: str, state_url: str | None, jti: str, *, expires_at: int | None
) -> None:
    """Revoke the token of this `jti`, and forget those that have ended anyway.

    `expires_at` is the token's end in seconds since 1970; if it is not known, the token
    is remembered for good. Raises MigrationError if there is no state, and
    DatabaseUnavailableError.
    """
    now = int(time.time())
    with writing_state(database_url, state_url) as session:
        session.run(in_state(session, _FORGET_TOKENS), now - KEPT_SECONDS)
        session.run(in_state(session, _REVOKE_TOKEN), jti, expires_at, now)


def revoked_tokens(
    database_url: str, state_url: str | None
) -> Callable[[], frozenset[str]]:
    """Return a function that reads the `jti` of every revoked token.

    It has connections of its own, for one thread at a time: exports that take all
    others do not delay it. It raises DatabaseUnavailableError.
    """
    state = State(database_url, state_url, connections=1)
    if state_url is not None:
        return lambda: state.revoked_tokens(None)
    database = open_for_reading(
        database_url, connections=1, seconds=STATE_SECONDS, is_read_long=False
    )

    def read() -> frozenset[str]:
        with reading(database) as session:
            return state.revoked_tokens(session)

    return read


def keep(session: Session, kept: Remains) -> None:
    """Add what an earlier version kept; rows that are there already stay."""
    for experiment, grantee in kept.grants:
        key = session.key(UUID(str(experiment)))
        session.run(in_state(session, _GRANT), key, grantee)
    for row in kept.revoked_tokens:
        session.run(in_state(session, _REVOKE_TOKEN), *row)


def beside(database_url: str) -> Path | None:
    """Return the file beside a SQLite database; None for other databases."""
    path = sqlite_path(database_url)
    if path is None:
        return None
    real = path.resolve()
    return real.with_name(f"{real.name}{BESIDE}")


@contextmanager
def looking(url: str) -> Iterator[Session]:
    """Open a database to look at it once; raises DatabaseUnavailableError."""
    database = open_for_reading(url, connections=1, is_read_long=False)
    try:
        with reading(database) as session:
            yield session
    finally:
        database.close()


def _is_file(path: Path | None) -> bool:
    # A link to nowhere is there, and unreadable.
    return path is not None and os.path.lexists(path)


def _is_here(session: Session) -> bool:
    return bool(session.value(_IS_HERE[session.kind]))


def in_state(session: Session, statement: str) -> str:
    """Put the names of the state's tables into a statement."""
    return statement.format(**_TABLES[session.kind])


def _grantees(session: Session, experiment: UUID) -> list[str]:
    rows = session.all(in_state(session, _GRANTEES), session.key(experiment))
    return [grantee for (grantee,) in rows]


def place(database_url: str, state_url: str | None) -> str | None:
    """Return the URL of the database that holds the state, None if none does."""
    if state_url is not None:
        return state_url
    with looking(database_url) as session:
        refuse_earlier(session)
        if _is_here(session):
            return database_url
    file = beside(database_url)
    return f"sqlite:///{file}" if _is_file(file) else None


@contextmanager
def named_in_errors(state_url: str | None) -> Iterator[None]:
    """Let refusals of a URL name the variable that it comes from."""
    try:
        yield
    except SettingsError as error:
        if state_url is None:
            raise
        # sqlite_path and postgresql_location cannot know whose URL they read.
        detail = error.detail.replace("PROMPTLOOPER_DATABASE_URL", VARIABLE)
        raise SettingsError(detail) from None


@contextmanager
def _reading(database: Pool) -> Iterator[Session]:
    with _readable(), reading(database) as session:
        _require_here(session)
        yield session


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:  # such as: file is not a database
        msg = f"The grants and revocations cannot be read: {error}"
        raise DatabaseUnavailableError(msg) from error


@contextmanager
def writing_state(database_url: str, state_url: str | None) -> Iterator[Session]:
    """Open the state to write to it; raises MigrationError if there is none."""
    url = place(database_url, state_url)
    if url is None:
        msg = f"There is no place for grants and revocations yet; run: {MIGRATE}"
        raise MigrationError(msg)
    if state_url is not None:
        _require_usable(state_url, name=VARIABLE)  # writing would make a missing file
    with _readable(), writing(open_for_writing(url)) as session:
        _require_here(session)
        yield session


def _require_here(session: Session) -> None:
    if not _is_here(session):
        msg = f"The grants and revocations are not where they should be; run: {MIGRATE}"
        raise DatabaseUnavailableError(msg)


def _require_usable(url: str, *, name: str) -> None:
    """Raise SettingsError for a state that cannot be read or is not migrated."""
    try:
        with named_in_errors(url), _readable(), looking(url) as session:
            _require_here(session)
            version = recorded(session).get(STATE, 0)
            is_current = version == latest(session.kind, STATE)
    except (DatabaseUnavailableError, MigrationError) as error:
        msg = f"{name} cannot be used: {error.detail}"
        raise SettingsError(msg) from error
    if not is_current:
        msg = f"{name} is not migrated; run: {MIGRATE}"
        raise SettingsError(msg)
