"""Who asks."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """The bearer of a verified token, or the operator at the command line.

    `experiments` narrows what is visible to these ids; None means no narrowing.
    `admin` sees every experiment whatever its grants. `unconfirmed` says why it could
    not be found out whether their token was revoked: no snapshot opens for them then.
    """

    subject: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    experiments: frozenset[UUID] | None = None
    admin: bool = False
    unconfirmed: str | None = None


OPERATOR = Viewer(subject="operator", admin=True)
"""Whoever can read the database file or knows its password."""
