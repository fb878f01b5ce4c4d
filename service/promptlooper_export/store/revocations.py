"""Tokens that were revoked before their end."""

import time
from collections.abc import Callable

from promptlooper_export.store.database import (
    open_for_reading,
    open_for_writing,
    reading,
    writing,
)

KEPT_SECONDS = 3600
"""How long after its end a revoked token is remembered: longer than clocks differ."""

READ_SECONDS = 2
"""How long the database may take to name the revoked tokens."""

_REVOKED = "SELECT jti FROM export_revoked_tokens"

_REVOKE = "INSERT INTO export_revoked_tokens VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

_FORGET = "DELETE FROM export_revoked_tokens WHERE expires_at < ?"


def revoke_token(url: str, jti: str, *, expires_at: int | None) -> None:
    """Revoke the token of this `jti`, and forget those that have ended anyway.

    `expires_at` is the token's end in seconds since 1970; where it is not known, the
    token is remembered for good. Raises DatabaseUnavailableError.
    """
    now = int(time.time())
    with writing(open_for_writing(url)) as session:
        session.run(_FORGET, now - KEPT_SECONDS)
        session.run(_REVOKE, jti, expires_at, now)


def revoked_tokens(url: str) -> Callable[[], frozenset[str]]:
    """Return a function that reads the `jti` of every revoked token.

    It has a connection of its own, which it is to use by one thread at a time: exports
    that take all others do not delay it. It raises DatabaseUnavailableError.
    """
    database = open_for_reading(url, connections=1, seconds=READ_SECONDS)

    def read() -> frozenset[str]:
        with reading(database) as session:
            return frozenset(jti for (jti,) in session.rows(_REVOKED))

    return read
