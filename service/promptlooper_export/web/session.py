"""Browser sessions: a cookie that holds the token, and the sign-in page.

The cookie is for this host only, no script can read it, and browsers do not send it
with requests from other sites. It counts only for GET and HEAD, which change nothing:
see `authentication`. A server that its user has just started for this may also have a
link that signs in once: see `invitation`.
"""

import re
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request, url_for
from marshmallow import Schema, fields

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    InvalidParameterError,
    NotFoundError,
    RequestTooLargeError,
    UnauthorizedError,
)
from promptlooper_export.redaction import redact_text
from promptlooper_export.registry import load_options
from promptlooper_export.web import authentication, pages, problems
from promptlooper_export.web.delivery import report_url
from promptlooper_export.web.invitation import Invitation

MAXIMUM_FORM_BYTES = 16_384
"""The largest body we read: a token, the URL to go to next, and their encoding."""

MAXIMUM_COOKIE_BYTES = 3800
"""Browsers ignore cookies of more than 4096 bytes, including their attributes."""

_SIGN_OUT = "sign-out"
# People copy a whole header as often as the token alone.
_LABEL = re.compile(r"\s*(authorization\s*:)?\s*(bearer\s)?\s*", re.IGNORECASE)
# Browsers drop tabs and line breaks from URLs, and read \ as /.
_MISREAD = re.compile(r"[\x00-\x20\\\x7f]")


class SessionParameters(Schema):
    """The parameters of the sign-in page."""

    next = fields.String(
        load_default="",
        metadata={"description": "Where to go next: a path of this service."},
    )


REFUSALS = (
    UnauthorizedError,
    InvalidParameterError,
    RequestTooLargeError,
    DatabaseUnavailableError,
    DatabaseNotUnderstoodError,
)
"""The problems of signing in; OpenAPI lists them."""


def install(app: Flask) -> None:
    """Show people the sign-in page when programs get a 401."""
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_FORM_BYTES
    app.register_error_handler(UnauthorizedError, _refuse)


def blueprint(invitation: Invitation | None) -> Blueprint:
    """Route `/session`, and the link of the invitation if there is one."""
    routes = Blueprint("session", __name__)
    rule = "/session"
    routes.add_url_rule(rule, endpoint="page", view_func=_show)
    routes.add_url_rule(rule, endpoint="begin", view_func=_begin, methods=["POST"])
    routes.add_url_rule(rule, endpoint="end", view_func=_end, methods=["DELETE"])
    if invitation is not None:
        routes.add_url_rule(
            f"{rule}/<code>", endpoint="enter", view_func=partial(_enter, invitation)
        )
    routes.after_request(_keep_nowhere)
    return routes


def _show() -> Response:
    asked = load_options(SessionParameters, list(request.args.items(multi=True)))
    following = _local(asked["next"])
    if request.headers.get("Authorization") or authentication.session_credentials():
        try:
            subject = authentication.viewer().subject
        except UnauthorizedError:
            return _page(following=following)
        return _page(subject=subject, until=_until(), following=following)
    return _page(following=following)


def _begin() -> Response:
    """Take the token from Authorization, or from the form on the page."""
    # Read first, so that too large a body is refused whatever else is wrong.
    request.get_data(parse_form_data=True)
    if request.headers.get("Authorization"):
        return _signed_in(Response(status=HTTPStatus.NO_CONTENT))
    if not _is_from_here():
        authentication.refuse("the form was sent by another site")
    if request.form.get("action") == _SIGN_OUT:
        return _signed_out(_go_to(url_for("session.page")))
    # Copying from a terminal often takes a line break along.
    token = _LABEL.sub("", request.form.get("token", ""), count=1).rstrip()
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    following = _local(request.form.get("next", ""))
    return _signed_in(_go_to(following or url_for("experiments.list")))


def _enter(invitation: Invitation, code: str) -> Response:
    """Sign in if the link is used for the first time, and go on in any case.

    Whoever is not signed in then is asked for a token there.
    """
    if not invitation.has(code):
        detail = "There is no such link; the program that serves this printed the link."
        raise NotFoundError(detail)
    landing = url_for("experiments.list")
    if invitation.experiment is not None:
        landing = report_url(invitation.experiment)
    if not invitation.use():
        return _go_to(landing)
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {invitation.token}"
    return _signed_in(_go_to(landing))


def _end() -> Response:
    return _signed_out(Response(status=HTTPStatus.NO_CONTENT))


def _signed_in(response: Response) -> Response:
    viewer = authentication.viewer()
    # A cookie outlives this request, so the token must be known not to be revoked.
    if viewer.unconfirmed is not None:
        raise DatabaseUnavailableError(viewer.unconfirmed)
    token = request.headers["Authorization"].partition(" ")[2]
    if len(token) > MAXIMUM_COOKIE_BYTES:
        detail = (
            f"The token has {len(token)} bytes; cookies hold {MAXIMUM_COOKIE_BYTES}. "
            "Send it as Authorization: Bearer, or get one with fewer claims."
        )
        raise InvalidParameterError(detail, parameter="token")
    response.set_cookie(
        authentication.session_cookie(),
        token,
        expires=authentication.expires(),
        path=_cookie_path(),
        # Browsers drop a Secure cookie that comes over plain HTTP.
        secure=request.is_secure,
        httponly=True,
        # Not Lax, which sends the cookie when another site links here.
        samesite="Strict",
    )
    return response


def _signed_out(response: Response) -> Response:
    # The same attributes, or the browser keeps the cookie that was set.
    response.delete_cookie(
        authentication.session_cookie(),
        path=_cookie_path(),
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


def _cookie_path() -> str:
    return request.script_root or "/"


def _go_to(address: str) -> Response:
    # 303: the browser continues with GET and does not send the form again.
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})


def _until() -> datetime | None:
    seconds = authentication.expires()
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _page(
    *,
    following: str,
    subject: str | None = None,
    until: datetime | None = None,
    failed: bool = False,
) -> Response:
    return pages.page(
        "session.html",
        form_action="'self'",
        subject=subject,
        until=until,
        following=following,
        failed=failed,
    )


def _refuse(error: UnauthorizedError) -> Response:
    """Return the sign-in page to browsers and a problem document to everyone else."""
    response = problems.refuse(error)
    response.vary.add("Accept")
    if not problems.prefers_page():
        return response
    failed = request.method == "POST"
    # Whoever signs in goes on to the page that they asked for.
    asked = request.form.get("next", "") if failed else request.full_path.rstrip("?")
    shown = _page(
        following=_local(asked if failed else redact_text(request.script_root + asked)),
        failed=failed,
    )
    shown.status_code = response.status_code
    # RFC 9110, section 15.5.2: a 401 must have it, page or not.
    shown.headers["WWW-Authenticate"] = response.headers["WWW-Authenticate"]
    shown.vary.add("Accept")
    return shown


def _is_from_here() -> bool:
    """Return whether the form came from our own page, as far as the browser says."""
    # Scripts can forge neither field. Old browsers send only Origin, programs neither.
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or origin == request.host_url.rstrip("/")


def _local(address: str) -> str:
    """Return the URL if it is a path of this service, else an empty text."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_local = (
        address.startswith(f"{request.script_root}/")
        # Browsers read // as the beginning of another host.
        and not address.startswith("//")
        and not (parts.scheme or parts.netloc)
        and not _MISREAD.search(address)
    )
    return address if is_local else ""


def _keep_nowhere(response: Response) -> Response:
    # These answers set the cookie or name its subject.
    response.headers["Cache-Control"] = "no-store"
    return response
