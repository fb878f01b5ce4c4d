"""Issue tokens for the HTTP service."""

import math
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from promptlooper_export.auth.secret import signing_key
from promptlooper_export.errors import UsageError
from promptlooper_export.settings import Settings

ACCESS = "access"
"""The `type` of a token for exports; a refresh token has another one."""

LATEST = 253_402_300_800
"""No claim is a moment after the year 9999; one in milliseconds would be."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def issue(
    settings: Settings,
    *,
    subject: str,
    groups: tuple[str, ...] = (),
    scopes: tuple[str, ...] = (),
    experiments: tuple[UUID, ...] = (),
    expires: timedelta,
) -> str:
    """Return a signed token for `subject` that is valid from now on for `expires`.

    Without `scopes`, it may read every kind of document; without `experiments`, every
    experiment. Raises SettingsError if there is no safe secret to sign with.
    """
    now = datetime.now(UTC)
    claims: dict[str, object] = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "type": ACCESS,
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + expires,
    }
    if groups:
        claims["groups"] = list(groups)
    if scopes:
        claims["scope"] = " ".join(scopes)
    if experiments:
        claims["experiments"] = [str(experiment) for experiment in experiments]
    return jwt.encode(claims, signing_key(settings), algorithm=settings.jwt_algorithm)


def identify(token: bytes) -> tuple[str, int | None]:
    """Return a token's `jti`, and its expiry in seconds since 1970, None without one.

    Verifies nothing, since it is only used to revoke tokens. Raises UsageError.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, RecursionError) as error:
        msg = f"standard input is not a token: {error}"
        raise UsageError(msg) from error
    jti, end = claims.get("jti"), claims.get("exp")
    if not isinstance(jti, str) or not is_name(jti):
        msg = "the token has no jti to revoke it by; a new signing key ends it"
        raise UsageError(msg)
    if isinstance(end, int | float) and abs(end) < LATEST:
        return jti, math.ceil(end)
    return jti, None


def is_name(text: str) -> bool:
    """Return whether a text can be a name in claims and in every database."""
    return bool(text) and not _UNSTORABLE.search(text)
