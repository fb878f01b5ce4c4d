"""Decide from an answer alone whether a whole export arrived.

Many clients and proxies treat a connection that ends early as success, because an
HTTP/1.0 body without a length ends when the connection does. So a body counts only if
the headers before it prove it: with its length and its digest.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias

PROBLEM = "application/problem+json"

Outcome: TypeAlias = Literal["complete", "refused", "bodiless", "broken"]
"""What an answer is worth.

- complete: a whole export
- refused: a whole problem document from the service, and no export
- bodiless: a whole answer to HEAD, or a 304: there was no body to lose
- broken: none of these; discard what arrived
"""

# RFC 9530, section 3: a dictionary of byte sequences (RFC 8941, section 3.2).
_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=(:[A-Za-z0-9+/]{43}=:)[ \t]*(?:$|[,;])")
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an HTTP client received, before undoing any content coding.

    `fields` are the headers in order, including repeated ones. `length`, in bytes, and
    `sha256` describe the body. When a download is resumed, they cover everything
    together, and `offset` is the number of bytes that were already there. `failure`
    says how the connection failed; it is None if the client saw no problem.
    """

    status: int
    fields: Sequence[tuple[str, str]]
    length: int
    sha256: bytes
    method: str = "GET"
    offset: int = 0
    failure: str | None = None

    def field(self, name: str) -> str | None:
        """Return the value of a field; repeated values are joined by commas."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case."""
        return (self.field("Content-Type") or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer is worth, and why."""

    outcome: Outcome
    reason: str

    @property
    def complete(self) -> bool:
        """Whether a whole export arrived."""
        return self.outcome == "complete"


def verify(answer: Answer, *, media_type: str | None = None) -> Verdict:
    """Decide what an answer is worth; an export must have `media_type`, if given.

    It does not matter if the connection fails after everything has arrived.
    """
    if flaw := _flaw(answer):
        ended = f"; the connection failed: {answer.failure}" if answer.failure else ""
        return Verdict(outcome="broken", reason=flaw + ended)
    if answer.status == HTTPStatus.NOT_MODIFIED or answer.method == "HEAD":
        return Verdict(outcome="bodiless", reason="an answer without a body")
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return Verdict(outcome="refused", reason=f"refused with {answer.status}")
    if media_type is not None and answer.media_type != media_type.lower():
        reason = f"{media_type} was asked for, {answer.media_type or 'nothing'} came"
        return Verdict(outcome="broken", reason=reason)
    return Verdict(outcome="complete", reason="length and digest are as announced")


def _flaw(answer: Answer) -> str | None:
    """Return what is wrong with an answer; None if it is whole."""
    if answer.status == HTTPStatus.NOT_MODIFIED:
        tag = answer.field("ETag") or ""
        return None if _ENTITY_TAG.fullmatch(tag) else "a 304 without its ETag"
    if answer.status >= HTTPStatus.BAD_REQUEST:
        # A proxy's own error page proves nothing about the service.
        if answer.media_type != PROBLEM:
            return f"a {answer.status} that is not a problem document of the service"
    elif answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return f"the status {answer.status} is not an export"
    # A stream may have lost its end on the way without anyone noticing.
    if answer.field("Transfer-Encoding") is not None:
        return "a stream without a length"
    return _wrong_length(answer) or _wrong_digest(answer)


def _wrong_length(answer: Answer) -> str | None:
    announced = answer.field("Content-Length")
    if announced is None:
        return "no Content-Length"
    # int() takes signs and underscores; two lengths joined by a comma fail as well.
    if not re.fullmatch("[0-9]+", announced, re.ASCII):
        return "Content-Length is not a number"
    if answer.method == "HEAD":
        return None
    came = answer.length - answer.offset
    if came != int(announced):
        return f"{came} of {int(announced)} bytes came"
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        last = answer.length - 1
        whole = f"bytes {answer.offset}-{last}/{answer.length}"  # RFC 9110, 14.4
        if answer.field("Content-Range") != whole:
            return "a part that does not end what was there before"
    return None


def _wrong_digest(answer: Answer) -> str | None:
    announced = _SHA256.findall(answer.field("Repr-Digest") or "")
    if not announced:
        return "no Repr-Digest with sha-256"
    computed = f":{b64encode(answer.sha256).decode()}:"
    # RFC 8941, section 3.2: of repeated keys in a dictionary, the last one counts.
    if answer.method != "HEAD" and announced[-1] != computed:
        return "the digest is another one"
    return None
