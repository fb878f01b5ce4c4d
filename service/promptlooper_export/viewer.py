"""Who is asking for an export."""

from dataclasses import dataclass
from uuid import UUID

BEST_SCOPE = "export:best"
REPORT_SCOPE = "export:report"
RUNS_SCOPE = "export:runs"
UNREDACTED_SCOPE = "export:unredacted"
ADMIN_SCOPE = "export:admin"

DEFAULT_SCOPES = frozenset({BEST_SCOPE, REPORT_SCOPE, RUNS_SCOPE})
"""What a token without scopes may export."""

SCOPES = (BEST_SCOPE, REPORT_SCOPE, RUNS_SCOPE, UNREDACTED_SCOPE, ADMIN_SCOPE)
"""Every scope that means something."""


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """The bearer of a verified token, or the operator at the command line.

    `experiments` limits what is visible to these ids; None means no limit. An `admin`
    sees every experiment regardless of grants. If nobody could determine whether the
    token was revoked, `unconfirmed` says why, and no snapshot opens for them.
    """

    subject: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    experiments: frozenset[UUID] | None = None
    admin: bool = False
    unconfirmed: str | None = None


OPERATOR = Viewer(subject="operator", admin=True)
"""Anyone who can read the database file or knows its password."""
