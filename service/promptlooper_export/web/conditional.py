"""Entity tags, preconditions and ranges of exports (RFC 9110).

A tag (section 8.8.3) is a digest of everything that determines the bytes; the data goes
in as a digest of the content. So the same data has the same tag in every worker, after
a restart and on a standby.

Preconditions are evaluated in the order of section 13.2.2. Exports have no
Last-Modified, so conditions on dates are ignored. Section numbers below are those of
RFC 9110.
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import UUID

from werkzeug import Request

from promptlooper_export import __version__
from promptlooper_export.errors import (
    PreconditionFailedError,
    RangeNotSatisfiableError,
)
from promptlooper_export.export import Selection
from promptlooper_export.registry import AnyFormat

_DIGEST_BYTES = 18  # a multiple of 3, so that base64 needs no padding


@dataclass(frozen=True, kw_only=True)
class Tag:
    """An entity tag: strong means the same bytes, weak the same content."""

    opaque: str
    weak: bool

    def __str__(self) -> str:
        """Write the tag as in the ETag header."""
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'


@dataclass(frozen=True, kw_only=True)
class Representation:
    """What determines the bytes of an answer, apart from data and content coding.

    `version` names the format's distribution and its version. `options` are already
    loaded, so defaults are filled in and the order of the query does not matter.
    """

    experiment: UUID
    format: AnyFormat
    version: str
    media_type: str
    options: Mapping[str, Any]
    selection: Selection

    @property
    def has_clock(self) -> bool:
        """Whether two answers for the same data differ in the time of the export."""
        return self.selection.has_clock(self.format.document)

    @cached_property
    def key(self) -> str:
        """Return a text that identifies the representation, regardless of the data."""
        return json.dumps(
            [
                # A new version may write other bytes.
                __version__,
                self.version,
                str(self.experiment),
                self.format.name,
                self.media_type,
                self.options,
                self.selection.key,
            ],
            sort_keys=True,
            default=repr,  # a third-party option may be any object
        )

    def tag(self, content: bytes, coding: str | None) -> Tag:
        """Return the tag of a content.

        `coding` is None for a body that would not be coded for any client.
        """
        # 8.8.3.3: each coding needs its own tag, or a cache could mix up their bytes.
        digest = sha256(self.key.encode() + content).digest()[:_DIGEST_BYTES]
        opaque = urlsafe_b64encode(digest).decode()
        if coding is not None:
            opaque += f"-{coding}"
        return Tag(opaque=opaque, weak=self.has_clock)


# int() refuses more than 4,300 digits, and no body has that many bytes.
_RANGE = re.compile(r"([0-9]{0,4000})-([0-9]{0,4000})")


def asks_whether_modified(request: Request) -> bool:
    """Return whether the tag alone may answer the request, as for If-None-Match.

    `*` and If-Match depend on whether the export exists at all (13.2.1).
    """
    tags = request.if_none_match
    return bool(tags) and not tags.star_tag and "If-Match" not in request.headers


def held(request: Request, tags: Iterable[Tag]) -> Tag | None:
    """Return the first tag that If-None-Match names, compared weakly (13.1.2)."""
    named = request.if_none_match
    return next((tag for tag in tags if named.contains_weak(tag.opaque)), None)


def is_not_modified(request: Request, tag: Tag) -> bool:
    """Evaluate the preconditions for an export that exists.

    Raises PreconditionFailedError if If-Match does not match; its comparison is strong
    (13.1.1).
    """
    if "If-Match" in request.headers:
        wanted = request.if_match
        if not (wanted.star_tag or (not tag.weak and wanted.is_strong(tag.opaque))):
            kind = "weak, which If-Match never matches" if tag.weak else "another"
            detail = f"The tag of this export is {kind}; leave out If-Match."
            raise PreconditionFailedError(detail, etag=str(tag))
    return held(request, [tag]) is not None


def part(request: Request, tag: Tag, length: int) -> range | None:
    """Return the range of bytes that Range asks for, or None for the whole export.

    Only a single byte range of a GET counts (14.2), and with If-Range only if its tag
    is strong and the same (13.1.5). Raises RangeNotSatisfiableError.
    """
    field = request.headers.get("Range", "")
    unit, _, ranges = field.partition("=")
    # 14.2: a server may ignore Range. A weak tag does not promise the same bytes, so
    # parts from two answers might not fit together.
    if request.method != "GET" or unit.lower() != "bytes" or tag.weak or not length:
        return None
    # A date never matches, as there is no Last-Modified.
    if request.headers.get("If-Range", str(tag)) != str(tag):
        return None
    # 5.6.1.2: recipients must accept empty list members.
    wanted = [text for text in map(_strip, ranges.split(",")) if text]
    # Several ranges would need multipart/byteranges; 14.2 allows sending the whole.
    match = _RANGE.fullmatch(wanted[0]) if len(wanted) == 1 else None
    places = match and _places(*match.groups(), length=length)
    if places is not None and not places:
        detail = f"The range {wanted[0]} has none of this export's {length} bytes."
        raise RangeNotSatisfiableError(detail, length=length, etag=str(tag))
    return places or None


def _places(first: str, last: str, *, length: int) -> range | None:
    """Return the offsets that a range-spec means, or None if it is invalid (14.1.1)."""
    if first:
        if last and int(last) < int(first):
            return None
        stop = int(last) + 1 if last else length
        return range(min(int(first), length), min(stop, length))
    return range(max(length - int(last), 0), length) if last else None


def _strip(text: str) -> str:
    return text.strip("\t ")
