"""To whom experiments are granted.

A grantee is `user:SUB` or `group:NAME`, after the claims of a token.
"""

from uuid import UUID

from promptlooper_export.store.database import (
    Session,
    open_for_reading,
    open_for_writing,
    reading,
    writing,
)

_GRANTEES = "SELECT grantee FROM export_grants WHERE experiment_id = ?"

_GRANT = "INSERT INTO export_grants VALUES (?, ?) ON CONFLICT DO NOTHING"

_REVOKE = "DELETE FROM export_grants WHERE experiment_id = ? AND grantee = ?"


def grantees(url: str, experiment: UUID) -> tuple[str, ...]:
    """Return to whom an experiment is granted; raises DatabaseUnavailableError."""
    with reading(open_for_reading(url)) as session:
        return _grantees(session, experiment)


def grant(url: str, experiment: UUID, grantee: str) -> tuple[str, ...]:
    """Grant an experiment, and return all to whom it is granted then.

    Raises DatabaseUnavailableError.
    """
    with writing(open_for_writing(url)) as session:
        session.run(_GRANT, session.key(experiment), grantee)
        return _grantees(session, experiment)


def revoke(url: str, experiment: UUID, grantee: str) -> tuple[str, ...]:
    """Take a grant back where there is one, and return all that are left.

    Raises DatabaseUnavailableError.
    """
    with writing(open_for_writing(url)) as session:
        session.run(_REVOKE, session.key(experiment), grantee)
        return _grantees(session, experiment)


def _grantees(session: Session, experiment: UUID) -> tuple[str, ...]:
    rows = session.all(_GRANTEES, session.key(experiment))
    return tuple(sorted(grantee for (grantee,) in rows))
