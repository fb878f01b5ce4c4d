"""Issue the tokens that the HTTP door accepts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from promptlooper_export.settings import Settings, signing_key

ACCESS = "access"
"""The `type` of a token that opens exports; a refresh token has another one."""


def issue(  # noqa: PLR0913  one keyword a claim
    settings: Settings,
    *,
    subject: str,
    groups: tuple[str, ...] = (),
    scopes: tuple[str, ...] = (),
    experiments: tuple[UUID, ...] = (),
    expires: timedelta,
) -> str:
    """Return a signed token for `subject` that is valid from now on for `expires`.

    Without `scopes` it may read every kind of document, without `experiments` it is not
    narrowed. Raises SettingsError where there is no good secret to sign with.
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
