"""Files on the web, downloaded whole before they are read.

Certificates are verified, and redirects are followed to the web only, never from https
to http. Messages leave out the query of an address, which may hold a signature.
"""

import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, responses
from pathlib import Path, PurePosixPath
from typing import IO
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit

from promptlooper_export.errors import SourceError

LARGEST_DOWNLOAD = 1 << 30
"""The largest file that is downloaded, in bytes."""

_WAIT_SECONDS = 60.0
_ALL_SECONDS = 600.0
"""How long to wait for the next bytes, and for all of them."""

_BLOCK = 1 << 16
_INSTEAD = "download it yourself and import the file"
_SIGN_IN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_RESERVED = "%:/?#[]@!$&'()*+,;=~"
_UNSAFE = re.compile(r"[^\w.()+ -]")


class _Redirects(request.HTTPRedirectHandler):
    """Follows redirects to the web, and never away from https."""

    def redirect_request(
        self,
        req: request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> request.Request | None:
        allowed = {"https"} if req.type == "https" else {"http", "https"}
        scheme = urlsplit(newurl).scheme
        if scheme not in allowed:
            why = f"it leads from {req.type} to {scheme}, which is not followed"
            raise URLError(why)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_web_address(source: str) -> bool:
    """Return whether the source is to be downloaded."""
    return source.startswith(("http://", "https://"))


def download(url: str, folder: Path) -> Path:
    """Download a file into a folder, under the last name of the URL's path.

    Raises SourceError if it cannot be had, whole and within the limits.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        msg = f"{url.partition('?')[0]}: is not a web address: {error}"
        raise SourceError(msg) from error
    host = parts.netloc.rpartition("@")[2]
    place = f"{parts.scheme}://{host}{parts.path}"
    if parts.username is not None:
        msg = f"{place}: a user or password in an address is not sent; {_INSTEAD}"
        raise SourceError(msg)
    path = folder / _name(parts)
    opener = request.build_opener(_Redirects)
    # Python refuses blanks and the like, and its message shows the query.
    encoded = quote(url, safe=_RESERVED)
    asked = request.Request(encoded, headers={"User-Agent": "promptlooper-export"})  # noqa: S310  the callers know that it is a web address
    try:
        with (
            opener.open(asked, timeout=_WAIT_SECONDS) as answer,
            path.open("wb") as file,
        ):
            file.writelines(_blocks(answer, place))
    except HTTPError as error:
        advice = _INSTEAD if error.code in _SIGN_IN else "check the address"
        # Not its reason, which may hold the address that it leads to.
        status = f"{error.code} {responses.get(error.code, '')}".strip()
        msg = f"{place}: the server answered {status}; {advice}"
        raise SourceError(msg) from error
    except (OSError, HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        msg = f"{place}: cannot be downloaded: {str(why) or type(why).__name__}"
        raise SourceError(msg) from error
    return path


def _blocks(answer: HTTPResponse, place: str) -> Iterator[bytes]:
    """Yield the body. Raises SourceError if it is too large, too slow or not whole."""
    until = time.monotonic() + _ALL_SECONDS
    expected = answer.length
    size = 0
    # read1 returns what has come, so that a slow server cannot stretch the time.
    while block := answer.read1(_BLOCK):
        size += len(block)
        if max(size, expected or 0) > LARGEST_DOWNLOAD:
            msg = f"{place}: has more than {LARGEST_DOWNLOAD} bytes; {_INSTEAD}"
            raise SourceError(msg)
        if time.monotonic() > until:
            msg = f"{place}: took longer than {_ALL_SECONDS:.0f} seconds; {_INSTEAD}"
            raise SourceError(msg)
        yield block
    if expected is not None and size < expected:
        msg = f"{place}: ended after {size} of {expected} bytes; try again"
        raise SourceError(msg)


def _name(parts: SplitResult) -> str:
    """Return the last name of the path, made harmless."""
    name = PurePosixPath(unquote(parts.path)).name
    return _UNSAFE.sub("_", name).lstrip(".")[-100:] or "download"
