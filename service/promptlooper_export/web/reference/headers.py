"""The header fields of the service's answers, as OpenAPI describes them."""

from collections.abc import Mapping
from typing import Any

from promptlooper_export.errors import (
    DatabaseUnavailableError,
    ExportError,
    ForbiddenError,
    NotAcceptableError,
    PreconditionFailedError,
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
        "The id of the request in the log: the client's own where it is well-formed.",
        pattern="^[A-Za-z0-9._-]{1,64}$",
    ),
    "X-Content-Type-Options": _field("No guessing of types.", const="nosniff"),
    "Referrer-Policy": _field("No addresses to other sites.", const="no-referrer"),
    "Cache-Control": _field("Kept by the client only, and asked about before use."),
    "Content-Length": _field("Bytes of the body.", pattern="^[0-9]+$"),
    "Repr-Digest": _field(
        "SHA-256 of the whole body as coded (RFC 9530).",
        pattern="^sha-256=:[A-Za-z0-9+/]{43}=:$",
    ),
    "ETag": _field(
        "Changes when and only when the data, the parameters or the service's version "
        "do; weak where the document names the moment of the export.",
        pattern='^(W/)?"[^"]+"$',
    ),
    "Accept-Ranges": _field("Whether parts can be asked for.", enum=["bytes", "none"]),
    "Content-Range": _field("The part of the body, or the length of the whole."),
    "Content-Disposition": _field("The name for a file made of it (RFC 6266)."),
    "Content-Location": _field(
        "The address of this very format, where Accept chose it.", required=False
    ),
    "Content-Encoding": _field(
        "The coding that Accept-Encoding chose.", required=False
    ),
    "Content-Security-Policy": _field(
        "What a page may load and run: its own style.", required=False
    ),
    "Link": _field("Every format, on pages and refusals.", required=False),
    "Set-Cookie": _field("The session, for this host and no script."),
    "Location": _field("Where to go.", format="uri-reference"),
    "Retry-After": _field("Seconds to wait before trying again.", pattern="^[0-9]+$"),
    "Vary": _field("The request's fields that chose the answer.", required=False),
    "WWW-Authenticate": _field("Bearer, and what is wrong with the token sent."),
    "X-Export-Warnings": _field(
        "What a reader should know, as a JSON list of at most 2 KiB.", required=False
    ),
    "X-Row-Count": _field(
        "How many runs a document of runs holds.", required=False, pattern="^[0-9]+$"
    ),
}
"""Every header field, by name."""

ALWAYS = (
    "X-Request-ID",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cache-Control",
    "Vary",
)
"""The fields of every answer."""

WITH_BODY = ("Content-Length", "Repr-Digest")
"""The fields of every answer that has a body."""

OF_PROBLEMS: Mapping[type[ExportError], tuple[str, ...]] = {
    UnauthorizedError: ("WWW-Authenticate",),
    ForbiddenError: ("WWW-Authenticate",),
    NotAcceptableError: ("Link",),
    PreconditionFailedError: ("ETag",),
    RangeNotSatisfiableError: ("ETag", "Content-Range"),
    DatabaseUnavailableError: ("Retry-After",),
    SpoolFullError: ("Retry-After",),
    TooManyExportsError: ("Retry-After",),
}
"""The fields that belong to a kind of refusal."""
