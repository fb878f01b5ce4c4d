"""Turn every error into a problem document (RFC 9457)."""

import inspect
import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from flask import Response, g, request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from promptlooper_export.errors import (
    AuditUnavailableError,
    CodingNotAcceptableError,
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    ExperimentNotFoundError,
    ExportTooLargeError,
    ForbiddenError,
    FormatFailedError,
    FormatNotInstalledError,
    FormatTimeoutError,
    InternalError,
    InvalidConfigError,
    InvalidParameterError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    NothingToExportError,
    PreconditionFailedError,
    ProblemError,
    RangeNotSatisfiableError,
    RequestTooLargeError,
    SpoolFullError,
    TableTooWideError,
    TooManyExportsError,
    UnauthorizedError,
    UnreadableRowError,
    UnrepresentableError,
)
from promptlooper_export.events import RequestFailed
from promptlooper_export.negotiation import Offer, choose

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROBLEMS: Mapping[str, type[ProblemError]] = {
    kind.slug: kind
    for kind in (
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        ExperimentNotFoundError,
        NothingToExportError,
        MethodNotAllowedError,
        NotAcceptableError,
        CodingNotAcceptableError,
        PreconditionFailedError,
        RangeNotSatisfiableError,
        RequestTooLargeError,
        InvalidParameterError,
        FormatNotInstalledError,
        InvalidConfigError,
        UnreadableRowError,
        UnrepresentableError,
        TableTooWideError,
        ExportTooLargeError,
        TooManyExportsError,
        FormatFailedError,
        InternalError,
        DatabaseUnavailableError,
        DatabaseNotUnderstoodError,
        SpoolFullError,
        AuditUnavailableError,
        FormatTimeoutError,
    )
}
"""Every kind of problem by its slug."""

RETRY_SECONDS: Mapping[type[ProblemError], int] = {
    DatabaseUnavailableError: 5,
    SpoolFullError: 5,
    AuditUnavailableError: 5,
    TooManyExportsError: 1,
}
"""Seconds after which a client may try again."""

_OFFERS = (
    Offer(name="document", media_types=(MEDIA_TYPE, "application/json")),
    Offer(name="page", media_types=("text/html",)),
)

_ADVICE: Mapping[type[ProblemError], str] = {
    ExportTooLargeError: (
        "Write it to a file: promptlooper-export export ID -f FORMAT -o FILE"
    ),
}
"""What a client may do instead, for errors whose detail says only what happened."""

# Goes into a header and the log, so nothing that could break a line of either.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str:
    """Return the request's id: the client's if it is well-formed, else a new one."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    return str(g.request_id)


def prefers_page() -> bool:
    """Return whether Accept prefers HTML, as browsers do, to a problem document."""
    choice = choose(request.headers.get("Accept"), _OFFERS)
    return choice.offer is not None and choice.offer.name == "page"


def explanation(kind: type[ProblemError]) -> tuple[str, str]:
    """Return what a kind of problem means and what to do, from its docstring."""
    meaning, _, remedy = (inspect.getdoc(kind) or "").rpartition("\n\n")
    return meaning, remedy


def answer(error: Exception) -> Response:
    """Answer with the problem document of any exception of the application."""
    match error:
        case ProblemError():
            return refuse(error)
        case HTTPException():
            return _refuse_http(error)
    return _fail(error)


def refuse(error: ProblemError) -> Response:
    """Answer with the problem document of an error."""
    _record(error)
    detail = error.detail
    if isinstance(error, DatabaseUnavailableError):
        # The reason may name hosts, users and versions; /health/ready needs no token.
        detail = "The database is not available; the log says why. Try again shortly."
    elif type(error) in _ADVICE:
        detail = f"{detail} {_ADVICE[type(error)]}"
    return _problem(
        # Relative to the host, with the prefix of a proxy: the page is on this service.
        type_=f"{request.script_root}/problems/{error.slug}",
        title=error.title,
        status=error.status,
        detail=detail,
        members=error.members,
        headers=_headers(error),
    )


def _refuse_http(error: HTTPException) -> Response:
    """Answer with what the router or the request parser refused."""
    if isinstance(error, NotFound):
        detail = "There is nothing at this path; exports are at /experiments/ID/export."
        return refuse(NotFoundError(detail))
    if isinstance(error, MethodNotAllowed):
        allowed = sorted(error.valid_methods or ())
        detail = f"This resource supports {', '.join(allowed)}."
        response = refuse(MethodNotAllowedError(detail, allowed=allowed))
        # RFC 9110, section 15.5.6: a 405 must have it.
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if isinstance(error, RequestEntityTooLarge):
        detail = (
            f"The body is larger than {request.max_content_length} bytes. Send the "
            "token as Authorization: Bearer TOKEN, without a body."
        )
        return refuse(RequestTooLargeError(detail))
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    # RFC 9457, section 4.2.1: about:blank adds nothing to the status.
    return _problem(
        type_="about:blank", title=status.phrase, status=status, detail=status.phrase
    )


def _fail(error: Exception) -> Response:
    """Answer that there is a bug; the cause goes only to the log."""
    detail = "The request failed on a bug in the service; the log has the cause."
    internal = InternalError(detail)
    internal.__cause__ = error
    return refuse(internal)


def _record(error: ProblemError) -> None:
    """Log what is not the client's fault."""
    if isinstance(error, DatabaseUnavailableError):
        logger.warning(RequestFailed(request_id=request_id(), error=error.detail))
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        cause = error.__cause__ or error
        event = RequestFailed(request_id=request_id(), error=type(cause).__name__)
        logger.error(event, exc_info=cause)


def _problem(
    *,
    type_: str,
    title: str,
    status: int,
    detail: str,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    document = {
        "type": type_,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id()}",
        **(members or {}),
    }
    response = Response(json.dumps(document), status, content_type=MEDIA_TYPE)
    response.headers.update(headers or {})
    return response


def _headers(error: ProblemError) -> dict[str, str]:
    """Return the headers that belong to a kind of error."""
    headers = {}
    if type(error) in RETRY_SECONDS:
        headers["Retry-After"] = str(RETRY_SECONDS[type(error)])
    if tag := error.members.get("etag"):
        headers["ETag"] = str(tag)
    match error:
        case UnauthorizedError():
            # RFC 6750, section 3: send no error code if there were no credentials.
            challenge = 'Bearer error="invalid_token"' if error.sent else "Bearer"
            headers["WWW-Authenticate"] = challenge
        case ForbiddenError():
            scope = error.members["scope"]
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            headers["WWW-Authenticate"] = challenge
        case NotAcceptableError():
            headers["Link"] = alternates(error.available)
            headers["Vary"] = "Accept"
        case RangeNotSatisfiableError():
            headers["Content-Range"] = f"bytes */{error.members['length']}"
    return headers


def alternates(available: Sequence[Mapping[str, Any]]) -> str:
    """Link to every format (RFC 8288)."""
    return ", ".join(
        f'<{row["url"]}>; rel="alternate"; type="{row["media_types"][0]}"'
        for row in available
    )
