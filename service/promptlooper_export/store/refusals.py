"""What the drivers of databases raise, and what it means."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from peewee import DatabaseError, InterfaceError, PeeweeException

from promptlooper_export.errors import DatabaseUnavailableError

# SQLITE_CORRUPT and SQLITE_NOTADB, as SQLite words them.
_DAMAGED = ("disk image is malformed", "file is not a database")

# libpq quotes a parameter that it cannot use, which may be a misplaced password.
_UNUSABLE = re.compile(r'(invalid \w+ value):? ".*"')

_OUR_STATES = {"42601", "42703", "42702", "42803", "42804", "42883", "42P02", "42P18"}
"""SQLSTATEs of a wrong statement: its syntax, columns, groups, types and functions."""

# SQLite has one code for all errors of a statement.
_OUR_WORDS = (
    "syntax error",
    "incomplete input",
    "no such column",
    "no such function",
    "wrong number of arguments",
    "Incorrect number of bindings",
)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a driver raises within the block into DatabaseUnavailableError.

    A statement of ours that is wrong is a bug: its error stays as it is.
    """
    try:
        yield
    # Peewee translates what a statement raises, not what reading its rows does: SQLite
    # finds a damaged page only there.
    except (DatabaseError, InterfaceError, sqlite3.DatabaseError) as error:
        if _is_ours(error):
            raise
        raise DatabaseUnavailableError(_reason(error)) from error


@contextmanager
def in_time(deadline: float) -> Iterator[None]:
    """Turn what a database refuses after the deadline into TimeoutError.

    It was made to stop; one that said nothing at all stays unavailable. `deadline` is a
    moment of time.monotonic().
    """
    try:
        yield
    except DatabaseUnavailableError as error:
        if error.__cause__ is not None and time.monotonic() > deadline:
            raise TimeoutError from error
        raise


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of the error that led to this one, if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if (code := getattr(cause, "sqlstate", None)) is not None:
            return str(code)
        cause = cause.__cause__ or cause.__context__
    return None


def _is_ours(error: PeeweeException | sqlite3.DatabaseError) -> bool:
    return sqlstate(error) in _OUR_STATES or any(
        sign in str(error) for sign in _OUR_WORDS
    )


def _reason(error: PeeweeException | sqlite3.DatabaseError) -> str:
    """Say what the database said, in one line."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else "no details"
    text = _UNUSABLE.sub(r"\1", text)
    if "database or disk is full" in text:
        return f"No space is left for sorting (PROMPTLOOPER_SPOOL_DIR): {text}"
    if "No usable temporary directory" in text:
        return "The database must be copied to be read: set PROMPTLOOPER_SPOOL_DIR."
    if any(sign in text for sign in _DAMAGED):
        return f"The database file is damaged ({text}): restore it from a backup."
    if "permission denied" in text:
        return f"The database refuses to be read ({text}): GRANT SELECT on it."
    if "must be owner" in text:
        return f"The database refuses: {text}. Ask its owner to run this."
    return f"The database does not answer: {text}"
