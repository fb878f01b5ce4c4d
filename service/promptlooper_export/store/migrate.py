"""Make what the service needs of its own, and take it away again.

An empty database gets the runner's tables and the state if that is asked for. Nothing
is added to a runner's tables: the state is kept apart from them. What an earlier
version added is cleaned up. Each database is changed in one transaction under a lock.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from peewee import OperationalError

from promptlooper_export.errors import MigrationError, SettingsError
from promptlooper_export.store.catalog import read_catalog
from promptlooper_export.store.connection import (
    LOCK_SECONDS,
    Session,
    open_for_reading,
    open_for_writing,
    writing,
)
from promptlooper_export.store.earlier import (
    NOTHING,
    Remains,
    clean,
    is_earlier,
    refuse_earlier,
    remains,
)
from promptlooper_export.store.locations import sqlite_path
from promptlooper_export.store.parts import (
    RUNNER_TABLES,
    STATE,
    Script,
    bring_down,
    bring_up,
    has_our_columns,
    is_own,
    recorded,
)
from promptlooper_export.store.refusals import refusals
from promptlooper_export.store.state import (
    VARIABLE,
    beside,
    keep,
    looking,
    named_in_errors,
)

_IS_EMPTY = {
    "sqlite": """
        SELECT count(*) = 0 FROM sqlite_master
        WHERE type IN ('table', 'view') AND name NOT IN
            ('export_grants', 'export_revoked_tokens', 'export_migrations')
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    """,
    "postgresql": """
        SELECT count(*) = 0 FROM pg_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relkind IN ('r', 'v', 'm', 'f', 'p')
            AND nspname NOT IN
                ('pg_catalog', 'information_schema', 'promptlooper_export')
            AND nspname NOT LIKE 'pg\\_t%'
            AND NOT EXISTS (
                SELECT 1 FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                    AND deptype = 'e'
            )
    """,
}

# One key for a database's tables and one for the state, which may be in one database.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('promptlooper_export.' || ?))"

_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"

IMPORT_ELSEWHERE = (
    "To import into a database of your own, set "
    "PROMPTLOOPER_DATABASE_URL=sqlite:///NAME.db"
)


class Standing(Enum):
    """Whose a database is."""

    EMPTY = auto()
    OWN = auto()
    RUNNERS = auto()
    EARLIER = auto()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done, or would be.

    `standing` is whose the database was before. `apart` is whether the state is in
    another database, `columns`, such as `runs.tags`, are those that an earlier version
    added to the runner's tables.
    """

    standing: Standing
    statements: tuple[str, ...]
    apart: bool
    columns: tuple[str, ...]


def migrate(
    url: str,
    *,
    state_url: str | None = None,
    create: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Make what is missing: see the module.

    An empty database stays as it is unless `create` is set. Raises MigrationError for a
    step that this release does not know, DatabaseNotUnderstoodError for a database that
    is not a runner's, SettingsError for a STATE_URL that cannot hold the state, and
    DatabaseUnavailableError.
    """
    standing = _look(url)
    if standing is Standing.EMPTY and not create:
        return Outcome(standing=standing, statements=(), apart=False, columns=())
    _require_apart(url, state_url)
    is_written = not dry_run and not _is_untouched(url, standing)
    # Looked at once more under the lock: another process may have migrated meanwhile.
    with _opened(url, for_writing=is_written) as session:
        standing = _standing(session)
        script = Script(session, dry_run=dry_run)
        is_earlier_one = standing is Standing.EARLIER
        kept = remains(session) if is_earlier_one else NOTHING
        is_ours = standing in (Standing.EMPTY, Standing.OWN) or (
            is_earlier_one and has_our_columns(session)
        )
        apart = _apart(url, state_url, is_ours=is_ours)
        # Before the cleaning: if this fails, the grants are still where they were.
        statements = _migrate_apart(apart, kept, dry_run=dry_run) if apart else ()
        if is_earlier_one:
            clean(script)
        parts = ((RUNNER_TABLES,) if is_ours else ()) + (() if apart else (STATE,))
        bring_up(script, *parts, has_tables=is_earlier_one)
        if not apart and not dry_run:
            keep(session, kept)
    if standing is Standing.EMPTY and not dry_run and sqlite_path(url) is not None:
        _switch_to_wal(url)
    return Outcome(
        standing=standing,
        statements=(*statements, *script.statements),
        apart=apart is not None,
        columns=kept.columns,
    )


def take_away(
    url: str, *, state_url: str | None = None, dry_run: bool = False
) -> tuple[str, ...]:
    """Take away what `migrate` made, and return the statements.

    Raises MigrationError if our own tables hold experiments, else as `migrate`.
    """
    standing = _look(url)
    _require_apart(url, state_url)
    path = sqlite_path(url)
    is_there = path is None or path.exists()
    is_written = is_there and not dry_run and not _is_untouched(url, standing)
    with _opened(url, for_writing=is_written) as session:
        refuse_earlier(session)
        script = Script(session, dry_run=dry_run)
        if is_own(session):
            _require_no_experiments(session)
        statements = _take_away_apart(url, state_url, dry_run=dry_run)
        parts = set(recorded(session))
        if not is_own(session):
            parts.discard(RUNNER_TABLES)  # by now, they are somebody else's
        bring_down(script, *sorted(parts))
    return (*script.statements, *statements)


def prepare_own(url: str, state_url: str | None, *, dry_run: bool = False) -> bool:
    """Make our tables in a missing or empty database, to import into.

    Return whether they were there before. With `dry_run`, nothing is made. Raises
    MigrationError for a database that is not our own.
    """
    standing = _look(url)
    if standing not in (Standing.EMPTY, Standing.OWN):
        with looking(url) as session:
            require_own(session)
    elif not dry_run:
        migrate(url, state_url=state_url, create=True)
    return standing is not Standing.EMPTY


def require_own(session: Session, *, instead: str = IMPORT_ELSEWHERE) -> None:
    """Raise MigrationError, which says what to do instead, unless `migrate` made it."""
    refuse_earlier(session)
    if not is_own(session):
        msg = (
            "The database belongs to the runner, so nothing is written to it. "
            f"{instead}"
        )
        raise MigrationError(msg)


def _look(url: str) -> Standing:
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return Standing.EMPTY
    with looking(url) as session:
        return _standing(session)


def _standing(session: Session) -> Standing:
    """Return whose it is; raise DatabaseNotUnderstoodError for another program's."""
    if is_earlier(session):
        return Standing.EARLIER
    if _is_empty(session):
        return Standing.EMPTY
    if is_own(session):
        return Standing.OWN
    read_catalog(session)
    return Standing.RUNNERS


def _is_empty(session: Session) -> bool:
    return bool(session.value(_IS_EMPTY[session.kind]))


def _is_untouched(url: str, standing: Standing) -> bool:
    """Return whether nothing of ours goes into the database."""
    return sqlite_path(url) is not None and standing is Standing.RUNNERS


@contextmanager
def _opened(url: str, *, for_writing: bool) -> Iterator[Session]:
    """Open the database, alone if for writing; a missing file is not made to look."""
    path = sqlite_path(url)
    if for_writing:
        with writing(open_for_writing(url)) as session:
            _wait_for_turn(session, RUNNER_TABLES)
            yield session
    elif path is not None and not path.exists():
        with writing(open_for_writing("sqlite:///:memory:")) as session:
            yield session
    else:
        with looking(url) as session:
            yield session


def _wait_for_turn(session: Session, part: str) -> None:
    """Wait until no other process migrates; SQLite's transaction is a lock already."""
    if session.kind == "postgresql":
        if session.value(_IS_READ_ONLY):
            msg = "The database is read-only, as a standby is; migrate its primary."
            raise MigrationError(msg)
        session.all(_LOCK, part)


def _switch_to_wal(url: str) -> None:
    """Let the runner's kind of writers and our readers not wait for each other."""
    database = open_for_writing(url)
    # SQLite does not wait for the lock that this needs, whatever its busy_timeout.
    end = time.monotonic() + LOCK_SECONDS
    with refusals(), database.connection_context():
        while True:
            try:
                database.execute_sql("PRAGMA journal_mode = WAL")
            except OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return


def _require_no_experiments(session: Session) -> None:
    held = session.value("SELECT count(*) FROM experiments")
    if held:
        msg = (
            f"The database holds experiments ({held}), so nothing was taken away; "
            "delete them first, or drop the database yourself."
        )
        raise MigrationError(msg)


def _require_apart(url: str, state_url: str | None) -> None:
    """Raise SettingsError for a STATE_URL that is invalid or names the database."""
    if state_url is None:
        return
    with named_in_errors(state_url):
        open_for_reading(state_url)
        path, state = sqlite_path(url), sqlite_path(state_url)
    if path and state and path.resolve() == state.resolve():
        msg = f"{VARIABLE} names the database itself; unset it, or name another file"
        raise SettingsError(msg)


def _apart(url: str, state_url: str | None, *, is_ours: bool) -> str | None:
    """Return where the state belongs, None if into the database itself."""
    file = beside(url)
    if state_url is not None or file is None:
        return state_url
    # A file beside goes on even if the database is our own: its grants must hold.
    return None if is_ours and not file.exists() else f"sqlite:///{file}"


def _migrate_apart(url: str, kept: Remains, *, dry_run: bool) -> tuple[str, ...]:
    path = sqlite_path(url)
    if path is None or path.exists() or dry_run:
        return _bring_state(url, kept, dry_run=dry_run)
    # Made elsewhere and then named: a service must not find half a state.
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}-"
    ) as folder:
        made = Path(folder) / "state"
        statements = _bring_state(f"sqlite:///{made}", kept, dry_run=dry_run)
        # A link, because a rename would replace what another process has just made.
        try:
            os.link(made, path)
        except FileExistsError:  # another process was quicker
            _bring_state(url, kept, dry_run=dry_run)
    return statements


def _bring_state(url: str, kept: Remains, *, dry_run: bool) -> tuple[str, ...]:
    with _opened_state(url, dry_run=dry_run) as session:
        if session.kind == "sqlite" and not _is_empty(session):
            msg = f"{VARIABLE} names a database with other tables; name a new file"
            raise SettingsError(msg)
        script = Script(session, dry_run=dry_run)
        bring_up(script, STATE)
        if not dry_run:
            keep(session, kept)
        return tuple(script.statements)


@contextmanager
def _opened_state(url: str, *, dry_run: bool) -> Iterator[Session]:
    if dry_run:
        with _opened(url, for_writing=False) as session:
            yield session
    else:
        with writing(open_for_writing(url)) as session:
            _wait_for_turn(session, STATE)
            yield session


def _take_away_apart(
    url: str, state_url: str | None, *, dry_run: bool
) -> tuple[str, ...]:
    """Take away the state that is apart, and its file if that holds nothing else."""
    apart = _apart(url, state_url, is_ours=True)
    path = sqlite_path(apart) if apart else None
    if apart is None or (path is not None and not path.exists()):
        return ()
    with _opened_state(apart, dry_run=dry_run) as session:
        script = Script(session, dry_run=dry_run)
        bring_down(script, *({STATE} & set(recorded(session))))
        is_bare = bool(script.statements) and _is_empty(session)
    if is_bare and path is not None and not dry_run:
        path.unlink()
    return tuple(script.statements)
