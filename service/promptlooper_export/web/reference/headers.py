"""The response headers of the service, in OpenAPI."""

from collections.abc import Mapping
from typing import Any

from promptlooper_export.errors import (
    DatabaseUnavailableError,
    ForbiddenError,
    NotAcceptableError,
    PreconditionFailedError,
    ProblemError,
    RangeNotSatisfiableError,
    SpoolFullError,
    TooManyExportsError,
    UnauthorizedError,
)


def _field(
    description: str, *, required: bool = True, **schema: object
) -> dict[str, Any]:
    return {
        "description": description,
        "required": required,
        "schema": {"type": "string", **schema},
    }


HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-ID": _field(
        "The id of the request in the log: the client's own if it is well-formed.",
        pattern="^[A-Za-z0-9._-]{1,64}$",
    ),
    "X-Content-Type-Options": _field(
        "Browsers must not guess the type.", const="nosniff"
    ),
    "Referrer-Policy": _field(
        "Browsers send no addresses to other sites.", const="no-referrer"
    ),
    "Cache-Control": _field(
        "Only the client may cache it, and must revalidate it before use."
    ),
    "Content-Length": _field("The size of the body in bytes.", pattern="^[0-9]+$"),
    "Repr-Digest": _field(
        "SHA-256 of the whole body, as coded (RFC 9530).",
        pattern="^sha-256=:[A-Za-z0-9+/]{43}=:$",
    ),
    "ETag": _field(
        "Changes if and only if the data, the parameters or the service's version "
        "change; weak if the document contains the time of the export.",
        pattern='^(W/)?"[^"]+"$',
    ),
    "Accept-Ranges": _field("Whether Range is supported.", enum=["bytes", "none"]),
    "Content-Range": _field("The part that is sent, or the length of the whole body."),
    "Content-Disposition": _field("The file name for saving it (RFC 6266)."),
    "Content-Location": _field(
        "The URL of exactly this format, if Accept chose it.", required=False
    ),
    "Content-Encoding": _field(
        "The coding that Accept-Encoding chose.", required=False
    ),
    "Content-Security-Policy": _field(
        "What a page may load and run: only its own style.", required=False
    ),
    "Link": _field(
        "The other formats, on pages and errors; the next page of runs.", required=False
    ),
    "Set-Cookie": _field(
        "The session cookie, for this host only and hidden from scripts."
    ),
    "Location": _field("Where to go.", format="uri-reference"),
    "Retry-After": _field(
        "How many seconds to wait before trying again.", pattern="^[0-9]+$"
    ),
    "Vary": _field("The request headers that chose the answer.", required=False),
    "WWW-Authenticate": _field(
        "Bearer, and what is wrong with the token that was sent."
    ),
    "X-Export-Warnings": _field(
        "Warnings for the reader, as a JSON list of at most 2 KiB.", required=False
    ),
    "X-Row-Count": _field(
        "How many runs the export contains.", required=False, pattern="^[0-9]+$"
    ),
}
"""Every header, by name."""

ALWAYS = (
    "X-Request-ID",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cache-Control",
    "Vary",
)
"""The headers of every answer."""

WITH_BODY = ("Content-Length", "Repr-Digest")
"""The headers of every answer with a body."""

OF_PROBLEMS: Mapping[type[ProblemError], tuple[str, ...]] = {
    UnauthorizedError: ("WWW-Authenticate",),
    ForbiddenError: ("WWW-Authenticate",),
    NotAcceptableError: ("Link",),
    PreconditionFailedError: ("ETag",),
    RangeNotSatisfiableError: ("ETag", "Content-Range"),
    DatabaseUnavailableError: ("Retry-After",),
    SpoolFullError: ("Retry-After",),
    TooManyExportsError: ("Retry-After",),
}
"""The headers that belong to a kind of error."""
