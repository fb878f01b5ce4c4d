"""Know which tokens were revoked, at little cost.

Each process keeps the set of revoked tokens in memory. A request whose token is good so
far, and which finds the set a second old, reads it anew; requests that come meanwhile
wait for that. So a token opens nothing from one second after its revocation on,
whichever process it comes to; forged and expired tokens cost no look at the database,
and all the others cost one look a second, on a connection that no export takes.

Where the set cannot be read, nobody knows whether a token is good: see `Viewer`.
"""

import math
import threading
import time
from collections.abc import Callable

from promptlooper_export.errors import DatabaseUnavailableError

MAXIMUM_AGE = 1.0
"""Seconds after which a set is read anew."""


class Revocations:
    """The revoked tokens as this process knows them."""

    def __init__(self, read: Callable[[], frozenset[str]]) -> None:
        self._read = read
        self._turn = threading.Lock()
        self._revoked: frozenset[str] = frozenset()
        self._read_at = -math.inf
        self._failure = ""
        self._failed_at = -math.inf

    def hold(self, jti: str) -> bool:
        """Tell whether the token was revoked more than a second ago, or later.

        Raises DatabaseUnavailableError where that cannot be found out.
        """
        asked_at = time.monotonic()
        if self._is_old(asked_at):
            with self._turn:
                # Another request may have read it meanwhile, or failed to.
                if self._failed_at >= asked_at:
                    raise DatabaseUnavailableError(self._failure)
                if self._is_old(asked_at):
                    self._renew()
        return jti in self._revoked

    def _is_old(self, moment: float) -> bool:
        return self._read_at <= moment - MAXIMUM_AGE

    def _renew(self) -> None:
        begun_at = time.monotonic()
        try:
            self._revoked = self._read()
        except DatabaseUnavailableError as error:
            self._failure = error.detail
            self._failed_at = time.monotonic()
            raise
        self._read_at = begun_at
