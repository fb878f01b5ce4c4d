"""Tokens whose signature was verified, so that it need not be at every request.

What can change is looked at each time: the clock, and the key that the token's header
leads to. Whether a token was revoked is asked elsewhere, also each time.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from promptlooper_export.auth.keys import FindKey

MOST_TOKENS = 1024
"""How many are remembered; the one used least recently goes first."""

LONGEST = 2048
"""The longest token that is remembered, in characters: its claims take memory."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A token that was good: its header, its claims, and the key that verified it."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: object


class VerifiedTokens:
    """The verified tokens of one application, whose settings decide what is good."""

    def __init__(self, find_key: FindKey, *, leeway: float) -> None:
        self._find_key = find_key
        self._leeway = leeway
        # By their digests: a token in memory could be stolen from there.
        self._tokens: OrderedDict[bytes, Verified] = OrderedDict()
        self._lock = threading.Lock()

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """Return the claims of a token that was verified and is still good, else None.

        Raises jwt.InvalidTokenError if there is no key for it any more.
        """
        digest = _digest(token)
        with self._lock:
            found = self._tokens.get(digest)
            if found is None:
                return None
            self._tokens.move_to_end(digest)
        # The same object: another one may be another key, so it verifies anew.
        if self._find_key(found.header) is found.key and self._is_timely(found.claims):
            return found.claims
        return None

    def add(self, token: str, verified: Verified) -> None:
        """Remember a token that has just been verified."""
        if len(token) > LONGEST:
            return
        with self._lock:
            self._tokens[_digest(token)] = verified
            if len(self._tokens) > MOST_TOKENS:
                self._tokens.popitem(last=False)

    def _is_timely(self, claims: Mapping[str, Any]) -> bool:
        """Return whether it has begun and not ended, as PyJWT reads the times."""
        now = time.time()
        has_begun = all(
            int(claims[name]) <= now + self._leeway
            for name in ("iat", "nbf")
            if name in claims
        )
        return has_begun and (
            "exp" not in claims or int(claims["exp"]) > now - self._leeway
        )


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
