"""What a database says about itself, for `doctor` and before `serve`."""

from dataclasses import dataclass

from promptlooper_export.store.catalog import read_catalog
from promptlooper_export.store.earlier import refuse_earlier
from promptlooper_export.store.indexes import Indexes, missing_indexes
from promptlooper_export.store.parts import is_own
from promptlooper_export.store.state import looking


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What there is to say of a database that can be read.

    `journal_mode` is None on PostgreSQL. `is_own`: whether `migrate` made the tables.
    `is_filtered`: whether row-level security may hide rows from the role.
    """

    is_own: bool
    is_filtered: bool
    journal_mode: str | None
    indexes: Indexes


def reach(url: str) -> None:
    """Raise DatabaseUnavailableError if the database does not answer."""
    with looking(url) as session:
        session.all("SELECT 1")


def diagnose(url: str) -> Diagnosis:
    """Look at a database without changing it.

    Raises DatabaseNotUnderstoodError for tables that cannot be exported from, and
    DatabaseUnavailableError.
    """
    with looking(url) as session:
        refuse_earlier(session)
        catalog = read_catalog(session)
        mode = session.one("PRAGMA journal_mode") if session.kind == "sqlite" else None
        return Diagnosis(
            is_own=is_own(session),
            is_filtered=catalog.is_filtered,
            journal_mode=str(mode[0]) if mode else None,
            indexes=missing_indexes(session),
        )
