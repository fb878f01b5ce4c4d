"""Get exports into a program, whole or not at all; only the standard library is needed.

    export = fetch(url, token=token, format="env")
    download(url, "report.md", token=token, format="markdown")

No redirect is followed: a token goes to the host of the URL and to no other.
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
"""How often a busy service (429, 503) is asked, each time when it says."""

LONGEST_WAIT = 60.0
"""Seconds; a service that is busy for longer has refused."""

Options: TypeAlias = Mapping[str, str | int]
"""Parameters of the query, such as `top_n` or a format's own."""

_BLOCK_BYTES = 1 << 16
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class ClientError(Exception):
    """No export came."""


class IncompleteError(ClientError):
    """What came is not provably a whole answer of the service; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        """Tell the reason of the verdict."""
        super().__init__(verdict.reason)
        self.verdict = verdict


class RefusedError(ClientError):
    """The service refused; `problem` is its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Tell status, title and detail."""
        super().__init__(f"{status} {problem.get('title')}: {problem.get('detail')}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Export:
    """A whole export; by its `etag`, fetch() finds out whether it is still current."""

    body: bytes
    media_type: str
    etag: str | None


def fetch(  # noqa: PLR0913  one keyword a thing to ask for
    url: str,
    *,
    token: str,
    format: str | None = None,  # noqa: A002  the field's word
    media_type: str | None = None,
    options: Options | None = None,
    cached: Export | None = None,
    timeout: float = 60,
) -> Export:
    """Return the export of `url`, which ends in `/experiments/ID/export`.

    `format` goes by name, `media_type` by negotiation; the latter is also checked.
    `cached` comes back where it is still current. `timeout` is in seconds, for each
    time that the service is waited for.

    Raises RefusedError with the service's reason, IncompleteError for all else that is
    not provably a whole export, ValueError for a URL or token that cannot be sent.
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


def download(  # noqa: PLR0913
    url: str,
    path: str | PathLike[str],
    *,
    token: str,
    format: str | None = None,  # noqa: A002
    options: Options | None = None,
    timeout: float = 60,
) -> None:
    """Write an export to a file, in one step; any size takes the same memory.

    Where the service can send the rest alone (strong ETag), what came before a failure
    is kept in a hidden file beside `path`, and the next call asks for the rest. Raises
    as fetch() does, and OSError for the file; what was there before stays then.
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
    format: str | None,  # noqa: A002
    options: Options | None,
) -> str:
    if not url.lower().startswith(("http://", "https://")):
        msg = "The URL of an export begins with http:// or https://."
        raise ValueError(msg)
    pairs: dict[str, str | int] = {"format": format} if format else {}
    query = urlencode(pairs | dict(options or {}))
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


class _Verbatim(request.HTTPErrorProcessor):
    """Hands out every answer as it came, redirects included."""

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
    """Return the first answer that does not name a time to ask again."""
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        # http.client would refuse, too, and show the token.
        msg = "The token is empty or has white space or other characters around it."
        raise ValueError(msg)
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
    """Return after how many seconds to ask again; None for not at all."""
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
    fields = {
        "Range": f"bytes={kept.stat().st_size}-",
        "If-Range": unquote(kept.name.removeprefix(_part_stem(target))),
    }
    response = _ask(address, token, fields, timeout)
    if response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return response
    response.close()
    kept.unlink()  # all of it was there, and was not proven when it was kept
    return _ask(address, token, {}, timeout)


def _part_stem(target: Path) -> str:
    """Return how the name of a kept part begins; the ETag of the whole follows."""
    return f".promptlooper-{sha256(fsencode(target.name)).hexdigest()[:16]}-"


def _receive_part(response: HTTPResponse, part: Path) -> Answer:
    with part.open("a+b") as file:
        answer = _receive(response, file)
        file.flush()
        fsync(file.fileno())
        return answer


def _receive(response: HTTPResponse, sink: IO[bytes]) -> Answer:
    """Add the body to what the sink holds already."""
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
    """Say whether what came is the beginning of something whose rest can be had."""
    announced = answer.field("Content-Length") or ""
    return (
        (answer.field("ETag") or "").startswith('"')
        and announced.isdecimal()
        and 0 < answer.length < answer.offset + int(announced)
    )


def _error(answer: Answer, verdict: Verdict, body: BytesIO) -> ClientError:
    if verdict.outcome != "refused":
        return IncompleteError(verdict)
    return RefusedError(answer.status, json.loads(body.getvalue()))
