"""Preconditions and ranges, in the order of RFC 9110, section 13.2.2.

Exports have no Last-Modified, so what compares dates is ignored. Section numbers below
are those of RFC 9110.
"""

import re
from collections.abc import Iterable

from werkzeug import Request

from promptlooper_export.errors import (
    PreconditionFailedError,
    RangeNotSatisfiableError,
)
from promptlooper_export.web.etags import Tag

# Python refuses to read longer numbers, and no body has as many bytes.
_RANGE = re.compile(r"([0-9]{0,4000})-([0-9]{0,4000})")


def asks_whether_modified(request: Request) -> bool:
    """Tell whether a look at the tag alone may answer the request: If-None-Match.

    `*` and If-Match speak of an export that may turn out not to be there (13.2.1).
    """
    tags = request.if_none_match
    return bool(tags) and not tags.star_tag and "If-Match" not in request.headers


def held(request: Request, tags: Iterable[Tag]) -> Tag | None:
    """Return the first tag that If-None-Match names, compared weakly (13.1.2)."""
    named = request.if_none_match
    return next((tag for tag in tags if named.contains_weak(tag.opaque)), None)


def is_not_modified(request: Request, tag: Tag) -> bool:
    """Evaluate the preconditions for an export that is there.

    Raises PreconditionFailedError where If-Match does not hold; its comparison is
    strong (13.1.1).
    """
    if "If-Match" in request.headers:
        wanted = request.if_match
        if not (wanted.star_tag or (not tag.weak and wanted.is_strong(tag.opaque))):
            kind = "weak, which If-Match never matches" if tag.weak else "another"
            detail = f"The tag of this export is {kind}; get it without If-Match."
            raise PreconditionFailedError(detail, etag=str(tag))
    return held(request, [tag]) is not None


def part(request: Request, tag: Tag, length: int) -> range | None:
    """Return the places of the bytes that Range asks for, or None for the whole.

    Only one range in bytes, of a GET, counts (14.2), and under If-Range only with the
    very tag, which must be strong (13.1.5). Raises RangeNotSatisfiableError.
    """
    field = request.headers.get("Range", "")
    unit, _, ranges = field.partition("=")
    if request.method != "GET" or unit.lower() != "bytes" or tag.weak or not length:
        return None
    if request.headers.get("If-Range", str(tag)) != str(tag):
        return None
    # A list may have empty members (5.6.1.2).
    wanted = [text for text in map(_strip, ranges.split(",")) if text]
    match = _RANGE.fullmatch(wanted[0]) if len(wanted) == 1 else None
    places = match and _places(*match.groups(), length=length)
    if places is not None and not places:
        detail = f"The range {wanted[0]} has no byte of this export's {length}."
        raise RangeNotSatisfiableError(detail, length=length, etag=str(tag))
    return places or None


def _places(first: str, last: str, *, length: int) -> range | None:
    """Return the places that a range-spec means; None where it is invalid (14.1.1)."""
    if first:
        if last and int(last) < int(first):
            return None
        stop = int(last) + 1 if last else length
        return range(min(int(first), length), min(stop, length))
    return range(max(length - int(last), 0), length) if last else None


def _strip(text: str) -> str:
    return text.strip("\t ")
