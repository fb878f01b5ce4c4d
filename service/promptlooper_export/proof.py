"""Decide from an answer alone whether a whole export arrived.

A connection that ends early is success to many a client and proxy: an HTTP/1.0 body
without a length ends where the connection does. So a body counts only with a proof that
came ahead of it: its length and its digest.
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
- refused: a whole problem document of the service, and no export
- bodiless: a whole answer to HEAD, or 304: there was no body to lose
- broken: none of these; what came is to be thrown away
"""

# RFC 9530, section 3: a dictionary of byte sequences (RFC 8941, section 3.2).
_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=(:[A-Za-z0-9+/]{43}=:)[ \t]*(?:$|[,;])")
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an HTTP client received, any content coding still in place.

    `fields` are the header fields in their order, as often as they came. `length`, in
    bytes, and `sha256` are of the body. Where an interrupted download goes on, they are
    of everything together, and `offset` is the number of bytes that were there before.
    `failure` says how the connection failed; None where the client saw nothing wrong.
    """

    status: int
    fields: Sequence[tuple[str, str]]
    length: int
    sha256: bytes
    method: str = "GET"
    offset: int = 0
    failure: str | None = None

    def field(self, name: str) -> str | None:
        """Return the value of a field, a list where it came repeatedly."""
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
    """Decide what an answer is worth; `media_type` is what a whole export must have.

    A connection that fails when everything had arrived took nothing away.
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
    """Say what is wrong; None for whole answers."""
    if answer.status == HTTPStatus.NOT_MODIFIED:
        tag = answer.field("ETag") or ""
        return None if _ENTITY_TAG.fullmatch(tag) else "a 304 without its ETag"
    if answer.status >= HTTPStatus.BAD_REQUEST:
        if answer.media_type != PROBLEM:
            return f"a {answer.status} that is not a problem document of the service"
    elif answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return f"the status {answer.status} is not an export"
    if answer.field("Transfer-Encoding") is not None:
        return "a stream without a length"
    return _wrong_length(answer) or _wrong_digest(answer)


def _wrong_length(answer: Answer) -> str | None:
    announced = answer.field("Content-Length")
    if announced is None:
        return "no Content-Length"
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
    if answer.method != "HEAD" and announced[-1] != computed:
        return "the digest is another one"
    return None
