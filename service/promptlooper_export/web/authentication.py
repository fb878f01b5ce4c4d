"""Verify bearer tokens strictly, and return who is asking.

flask-jwt-extended checks the signature, times, issuer and audience. It fills in missing
claims and leaves others unchecked, so we check the claims as they were sent, when it
asks for the key.

Each process keeps the set of revoked tokens in memory. If a request has an otherwise
valid token and the set is a second old, the request reads it again; other requests wait
for it. So every process refuses a token within one second of its revocation. Forged and
expired tokens never reach the database, and all others together cost one read a second,
on a connection that exports do not use. If the set cannot be read, nobody knows whether
a token is valid: see `Viewer`.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flask import Flask, current_app, g, request
from flask_jwt_extended import (
    JWTManager,
    get_jwt,
    get_jwt_header,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import InvalidTokenError, PyJWTError

from promptlooper_export.auth.issuing import ACCESS, LATEST, is_name
from promptlooper_export.auth.keys import key_finder
from promptlooper_export.auth.secret import surrounding_space
from promptlooper_export.auth.verified import Verified, VerifiedTokens
from promptlooper_export.errors import DatabaseUnavailableError, UnauthorizedError
from promptlooper_export.events import SecretHasSpace, TokenRefused
from promptlooper_export.settings import PREFIX, Settings
from promptlooper_export.store.state import revoked_tokens
from promptlooper_export.viewer import ADMIN_SCOPE, DEFAULT_SCOPES, Viewer
from promptlooper_export.web.parameters import read_id
from promptlooper_export.web.problems import request_id
from promptlooper_export.web.requestlog import remember

MAXIMUM_AGE = 1.0
"""Seconds after which the set is read again."""


class Revocations:
    """The revoked tokens, as this process knows them."""

    def __init__(self, read: Callable[[], frozenset[str]]) -> None:
        self._read = read
        self._turn = threading.Lock()
        self._revoked: frozenset[str] = frozenset()
        self._read_at = -math.inf
        self._failure = ""
        self._failed_at = -math.inf

    def hold(self, jti: str) -> bool:
        """Return whether the token was revoked, for certain once a second has passed.

        Raises DatabaseUnavailableError if that cannot be determined.
        """
        asked_at = time.monotonic()
        if self._is_old(asked_at):
            with self._turn:
                # Another request may have read it meanwhile. If that failed, all who
                # waited fail with it, rather than try one by one during an outage.
                if self._failed_at >= asked_at:
                    raise DatabaseUnavailableError(self._failure)
                if self._is_old(asked_at):
                    self._renew()
        return jti in self._revoked

    def _is_old(self, moment: float) -> bool:
        return self._read_at <= moment - MAXIMUM_AGE

    def _renew(self) -> None:
        # The age counts from before the read: a revocation during it may be missed.
        begun_at = time.monotonic()
        try:
            self._revoked = self._read()
        except DatabaseUnavailableError as error:
            self._failure = error.detail
            self._failed_at = time.monotonic()
            raise
        self._read_at = begun_at


logger = logging.getLogger(__name__)

MAXIMUM_BYTES = 8192
SESSION_COOKIE = "promptlooper_session"

_REVOCATIONS = "promptlooper_export.revocations"
_VERIFIED = "promptlooper_export.verified_tokens"
_DETAIL = "This needs one valid token, sent as Authorization: Bearer TOKEN."
# RFC 9110, section 11.4: one space or more; a JWS in compact form (RFC 7515, 7.1).
_CREDENTIALS = re.compile(
    r"bearer ++([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII | re.IGNORECASE
)


def install(app: Flask, settings: Settings) -> None:
    """Configure the verification of tokens.

    Raises SettingsError if keys are missing or weak.
    """
    find_key = key_finder(settings)
    if found := surrounding_space(settings.jwt_secret_key or ""):
        variable = f"{PREFIX}JWT_SECRET_KEY"
        logger.warning(SecretHasSpace(variable=variable, reason=found))
    app.config.update(
        # The cookie is turned into a header below, for GET and HEAD only.
        JWT_TOKEN_LOCATION=["headers"],
        # The library also accepts JWT_ALGORITHM (HS256 by default), so set both.
        JWT_ALGORITHM=settings.jwt_algorithm,
        JWT_DECODE_ALGORITHMS=[settings.jwt_algorithm],
        JWT_DECODE_AUDIENCE=settings.jwt_audience,
        JWT_DECODE_ISSUER=settings.jwt_issuer,
        JWT_DECODE_LEEWAY=settings.jwt_leeway,
    )

    def check_and_give_key(header: dict[str, Any], claims: dict[str, Any]) -> Any:  # noqa: ANN401  a library's key
        # Before the key is looked up, so that no token has a say in which one.
        _check_header(header)
        _check_claims(claims, settings.jwt_required_claims)
        # Kept, since another look for it may find a new one.
        g.key = find_key(header)
        return g.key

    JWTManager(app).decode_key_loader(check_and_give_key)
    app.extensions[_VERIFIED] = VerifiedTokens(find_key, leeway=settings.jwt_leeway)
    app.extensions[_REVOCATIONS] = Revocations(
        revoked_tokens(settings.database_url, settings.state_url)
    )


def viewer() -> Viewer:
    """Return who is asking.

    Raises UnauthorizedError, which gives the client no reason; the log has it.
    """
    token = _check_credentials()
    try:
        claims = g.claims = _verify(token)
    # PyJWT before 2.15 passes on the RecursionError of claims that are nested deeply.
    except (PyJWTError, JWTExtendedException, RecursionError) as error:
        refuse(str(error))
    remember(subject=claims["sub"])
    scopes = claims.get("scope")
    ids = claims.get("experiments")
    # An empty scope is not a missing one: it opens nothing.
    granted = DEFAULT_SCOPES if scopes is None else frozenset(scopes.split(" "))
    return Viewer(
        subject=claims["sub"],
        groups=tuple(claims.get("groups", ())),
        scopes=granted,
        experiments=None if ids is None else frozenset(filter(None, map(read_id, ids))),
        admin=ADMIN_SCOPE in granted,
        unconfirmed=_check_revocation(claims),
    )


def session_credentials() -> str | None:
    """Return the token in a browser's session cookie, as a value for Authorization."""
    cookie = request.cookies.get(session_cookie())
    return f"Bearer {cookie}" if cookie else None


def session_cookie() -> str:
    """Return the cookie's name: over HTTPS, one that no other host can set.

    Browsers take names with these prefixes over HTTPS only, and `__Host-` only for the
    whole host, which a service behind a prefix does not own (RFC 6265bis, 4.1.3). Over
    HTTP, the name has the port: servers on other ports of the host, such as two of
    `open`, get the same cookies.
    """
    if not request.is_secure:
        port = request.host.rpartition(":")[2]
        return f"{SESSION_COOKIE}_{port}" if port.isdecimal() else SESSION_COOKIE
    return f"{'__Secure-' if request.script_root else '__Host-'}{SESSION_COOKIE}"


def expires() -> int | None:
    """Return when the viewer's token expires, in seconds since 1970."""
    moment = g.claims.get("exp")
    return None if moment is None else int(moment)


def _verify(token: str) -> Mapping[str, Any]:
    """Return the claims of the request's token; raises what the libraries raise."""
    verified: VerifiedTokens = current_app.extensions[_VERIFIED]
    known = verified.claims(token)
    if known is not None:
        return known
    verify_jwt_in_request()
    claims = get_jwt()
    header = get_jwt_header()
    verified.add(token, Verified(header=header, claims=claims, key=g.key))
    return claims


def _check_revocation(claims: Mapping[str, Any]) -> str | None:
    """Refuse a revoked token; if that cannot be determined, return why.

    A token without `jti`, which can be allowed, cannot be revoked.
    """
    revocations: Revocations = current_app.extensions[_REVOCATIONS]
    try:
        is_revoked = "jti" in claims and revocations.hold(claims["jti"])
    except DatabaseUnavailableError as error:
        return error.detail
    if is_revoked:
        refuse("the token was revoked")
    return None


def refuse(reason: str, *, sent: bool = True) -> NoReturn:
    """Raise the same UnauthorizedError for any reason; only the log has the reason."""
    event = TokenRefused(
        request_id=request_id(), client=request.remote_addr, reason=reason[:200]
    )
    logger.info(event)
    raise UnauthorizedError(_DETAIL, sent=sent)


def _check_credentials() -> str:
    """Return the token; refuse anything but one Authorization field with one token.

    Servers join several fields with a comma, which no token contains. Without the
    field, a browser's session cookie counts, but only for methods that change nothing.
    """
    field = request.headers.get("Authorization")
    # A cookie comes with requests that the user did not make, so it must change
    # nothing.
    if field is None and request.method in {"GET", "HEAD"}:
        field = session_credentials()
    if not field:
        refuse("no Authorization field", sent=False)
    credentials = _CREDENTIALS.fullmatch(field)
    if credentials is None:
        refuse("Authorization is not Bearer and one signed token")
    if len(credentials[1]) > MAXIMUM_BYTES:
        refuse(f"the token is longer than {MAXIMUM_BYTES} bytes")
    # The library accepts only this spelling; RFC 9110, section 11.1, allows any case.
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {credentials[1]}"
    return credentials[1]


def _check_header(header: Mapping[str, Any]) -> None:
    # RFC 7515, section 4.1.11: unknown critical extensions must be refused. The other
    # names would let a token choose the key that verifies it.
    for name in ("crit", "jku", "jwk", "x5c", "x5u"):
        if name in header:
            msg = f"the header has {name}"
            raise InvalidTokenError(msg)


def _check_claims(claims: Mapping[str, Any], required: tuple[str, ...]) -> None:
    for name in required:
        # PyJWT's own `require` accepts a claim that is empty.
        if claims.get(name) in (None, "", [], {}):
            msg = f"the claim {name} is missing or empty"
            raise InvalidTokenError(msg)
    # Checked if present, required or not: the code after this trusts their types.
    for name, is_valid in _CLAIMS.items():
        if name in claims and not is_valid(claims[name]):
            msg = f"the claim {name} has the wrong type or a value that is not allowed"
            if name in _MOMENTS:
                msg += ": it must be in seconds since 1970"
            raise InvalidTokenError(msg)
    if "type" in required and claims["type"] != ACCESS:
        msg = f"the token is not an {ACCESS} token"
        raise InvalidTokenError(msg)


def _is_moment(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        # False for NaN and infinity as well; math.isfinite(10**400) would overflow.
        and abs(value) < LATEST
    )


def _is_text(value: object) -> bool:
    return value == "" or _is_name(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_name(value)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_id, value))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and read_id(value) is not None


_MOMENTS = ("exp", "nbf", "iat")
_CLAIMS: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(_MOMENTS, _is_moment),
    "iss": _is_name,
    "sub": _is_name,
    "jti": _is_name,
    "type": _is_name,
    "groups": _is_names,
    "scope": _is_text,
    "experiments": _is_ids,
}
