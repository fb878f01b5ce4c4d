"""Fetch exports into a program, whole or not at all, with the standard library alone.

    export = fetch(url, token=token, format="env")
    download(url, "report.md", token=token, format="markdown")

It never follows redirects: the token goes only to the host of the URL.
"""

import json
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from os import PathLike, fsencode, fsync
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib import request
from urllib.parse import quote, unquote, urlencode

from promptlooper_export.proof import Answer, Verdict, verify

__all__ = [
    "Answer",
    "ClientError",
    "Export",
    "IncompleteError",
    "RefusedError",
    "Verdict",
    "download",
    "fetch",
    "verify",
]

ATTEMPTS = 4
"""How often to ask a busy service (429, 503), each time after the delay it names."""

LONGEST_WAIT = 60.0
"""In seconds; a longer Retry-After counts as a refusal."""

Options: TypeAlias = Mapping[str, str | int]
"""Query parameters, such as `top_n` or a format's own options."""

_BLOCK_BYTES = 1 << 16
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class ClientError(Exception):
    """There was no export."""


class IncompleteError(ClientError):
    """The answer cannot be proven to be whole; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        """Use the verdict's reason as the message."""
        super().__init__(verdict.reason)
        self.verdict = verdict


class RefusedError(ClientError):
    """The service refused; `problem` is its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Use status, title and detail as the message."""
        super().__init__(f"{status} {problem.get('title')}: {problem.get('detail')}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Export:
    """A whole export; fetch() uses its `etag` to check whether it is still current."""

    body: bytes
    media_type: str
    etag: str | None


def fetch(
    url: str,
    *,
    token: str,
    format: str | None = None,
    media_type: str | None = None,
    options: Options | None = None,
    cached: Export | None = None,
    timeout: float = 60,
) -> Export:
    """Return the export of `url`, which ends in `/experiments/ID/export`.

    `format` names the format; `media_type` negotiates it, and the answer must have it.
    `cached` is returned if it is still current. `timeout` is in seconds, for each wait
    for the service.

    Raises RefusedError with the service's reason, IncompleteError if anything else is
    not provably a whole export, and ValueError if the URL or token cannot be sent.
    """
    fields = {"Accept": media_type} if media_type else {}
    if cached is not None and cached.etag is not None:
        fields["If-None-Match"] = cached.etag
    body = BytesIO()
    with closing(_ask(_address(url, format, options), token, fields, timeout)) as got:
        answer = _receive(got, body)
    verdict = verify(answer, media_type=media_type)
    if verdict.complete:
        tag = answer.field("ETag")
        return Export(body=body.getvalue(), media_type=answer.media_type, etag=tag)
    if verdict.outcome == "bodiless" and cached is not None:
        return cached
    raise _error(answer, verdict, body)


def download(
    url: str,
    path: str | PathLike[str],
    *,
    token: str,
    format: str | None = None,
    options: Options | None = None,
    timeout: float = 60,
) -> None:
    """Write an export to a file in one step, in constant memory.

    If the service can send just the rest (strong ETag), a hidden file beside `path`
    keeps what arrived before a failure, and the next call resumes. Raises the same
    errors as fetch(), and OSError for the file; the old file then stays.
    """
    address = _address(url, format, options)
    target = Path(path).resolve()
    kept = next(target.parent.glob(f"{_part_stem(target)}*"), None)
    with closing(_ask_for_rest(address, token, target, kept, timeout)) as response:
        if response.status == HTTPStatus.PARTIAL_CONTENT and kept is not None:
            part = kept
        elif response.status == HTTPStatus.OK:
            if kept is not None:
                kept.unlink(missing_ok=True)
            tag = response.headers.get("ETag", "")
            part = target.with_name(_part_stem(target) + quote(tag, safe=""))
        else:
            refusal = BytesIO()
            answer = _receive(response, refusal)
            raise _error(answer, verify(answer), refusal)
        answer = _receive_part(response, part)
    # The digest covers the whole file, so it also proves that both parts fit.
    verdict = verify(answer)
    if not verdict.complete:
        if not _can_go_on(answer):
            part.unlink()
        raise IncompleteError(verdict)
    if target.exists():
        shutil.copymode(target, part)
    part.replace(target)


def _address(
    url: str,
    format: str | None,
    options: Options | None,
) -> str:
    if not url.lower().startswith(("http://", "https://")):
        msg = "The URL of an export begins with http:// or https://."
        raise ValueError(msg)
    pairs: dict[str, str | int] = {"format": format} if format else {}
    query = urlencode(pairs | dict(options or {}))
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


class _Verbatim(request.HTTPErrorProcessor):
    """Returns every answer as it is, so that redirects are not followed."""

    def http_response(
        self,
        request: request.Request,  # noqa: ARG002  the signature of the base
        response: HTTPResponse,
    ) -> HTTPResponse:
        return response

    https_response = http_response


def _ask(
    address: str, token: str, fields: Mapping[str, str], timeout: float
) -> HTTPResponse:
    """Return the first answer that does not ask to retry later."""
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        # http.client would refuse it as well, but show the token in its error.
        msg = "The token is empty or has white space or other characters around it."
        raise ValueError(msg)
    # A proxy that compresses would drop the length that proves the body whole.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    asked = request.Request(address, headers={**headers, **fields})  # noqa: S310  see above
    opener = request.build_opener(_Verbatim)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response: HTTPResponse = opener.open(asked, timeout=timeout)
        except (OSError, HTTPException) as error:
            reason = f"no answer: {error}"
            raise IncompleteError(Verdict(outcome="broken", reason=reason)) from error
        delay = _delay(response)
        if delay is None or attempt == ATTEMPTS:
            break
        response.close()
        time.sleep(delay)
    return response


def _delay(response: HTTPResponse) -> float | None:
    """Return how many seconds to wait before asking again; None to give up."""
    after = response.headers.get("Retry-After")
    if response.status not in _BUSY or after is None:
        return None
    try:  # RFC 9110, section 10.2.3: seconds or a date
        delay = (
            float(after)
            if after.isdecimal()
            else parsedate_to_datetime(after).timestamp() - time.time()
        )
    except ValueError:
        return None
    return max(delay, 0) if delay <= LONGEST_WAIT else None


def _ask_for_rest(
    address: str, token: str, target: Path, kept: Path | None, timeout: float
) -> HTTPResponse:
    if kept is None:
        return _ask(address, token, {}, timeout)
    # RFC 9110, section 13.1.5: if the export changed, the answer is the whole new one.
    fields = {
        "Range": f"bytes={kept.stat().st_size}-",
        "If-Range": unquote(kept.name.removeprefix(_part_stem(target))),
    }
    response = _ask(address, token, fields, timeout)
    if response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return response
    response.close()
    kept.unlink()  # it has every byte, but nothing proved them
    return _ask(address, token, {}, timeout)


def _part_stem(target: Path) -> str:
    """Return the start of a kept part's file name; the ETag of the whole follows."""
    return f".promptlooper-{sha256(fsencode(target.name)).hexdigest()[:16]}-"


def _receive_part(response: HTTPResponse, part: Path) -> Answer:
    with part.open("a+b") as file:
        answer = _receive(response, file)
        file.flush()
        fsync(file.fileno())
        return answer


def _receive(response: HTTPResponse, sink: IO[bytes]) -> Answer:
    """Append the body to the sink, and describe everything that it then holds."""
    digest = sha256()
    sink.seek(0)
    while block := sink.read(_BLOCK_BYTES):
        digest.update(block)
    offset = length = sink.tell()
    failure = None
    while failure is None:
        try:
            block = response.read(_BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            failure = str(error) or type(error).__name__
            continue
        if not block:
            break
        digest.update(block)
        length += sink.write(block)
    return Answer(
        status=response.status,
        fields=response.getheaders(),
        length=length,
        sha256=digest.digest(),
        offset=offset,
        failure=failure,
    )


def _can_go_on(answer: Answer) -> bool:
    """Return whether a later request can fetch the rest of this body."""
    announced = answer.field("Content-Length") or ""
    # Range works only under a strong tag; a weak one begins with W/.
    return (
        (answer.field("ETag") or "").startswith('"')
        and announced.isdecimal()
        and 0 < answer.length < answer.offset + int(announced)
    )


def _error(answer: Answer, verdict: Verdict, body: BytesIO) -> ClientError:
    if verdict.outcome != "refused":
        return IncompleteError(verdict)
    return RefusedError(answer.status, json.loads(body.getvalue()))
