"""Send a finished body."""

import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import quote, urlencode
from uuid import UUID

from flask import Response, request, url_for

from promptlooper_export.documents import Notice
from promptlooper_export.spool import Body
from promptlooper_export.web.etags import Tag
from promptlooper_export.web.parameters import AFTER

MAXIMUM_WARNINGS_BYTES = 2048
"""The longest X-Export-Warnings; proxies often allow 4 KiB for all fields together."""

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
"""Statuses whose answers never have a body, nor a length (RFC 9110, section 8.6)."""

_MAXIMUM_NAME_BYTES = 150  # most file systems allow 255, and people add to names
_READ = 4096  # a title may have millions of characters
_UNWRITABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_RESERVED = re.compile(r'[/\\:*?"<>|]')


def send(  # noqa: PLR0913  a body and what its fields say
    body: Body,
    *,
    media_type: str,
    extension: str,
    tag: Tag,
    coding: str | None,
    part: range | None,
) -> Response:
    """Answer with a body or a part of it; the file is closed when the answer was sent.

    The length goes ahead of the body, so that no client can take a part for the whole.
    """
    response = Response(body.chunks(part), mimetype=media_type)
    response.call_on_close(body.file.close)
    response.content_length = body.length
    fields = response.headers
    fields["ETag"] = str(tag)
    if coding:
        fields["Content-Encoding"] = coding
    fields["Accept-Ranges"] = "none" if tag.weak or coding else "bytes"
    if part is not None:
        response.status_code = HTTPStatus.PARTIAL_CONTENT
        response.content_length = len(part)
        fields["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{body.length}"
    fields["Repr-Digest"] = digest_field(body.sha256)
    fields["Content-Disposition"] = disposition(body.title, extension)
    if body.row_count is not None:
        fields["X-Row-Count"] = str(body.row_count)
    if body.last_run is not None:
        fields["Link"] = f'<{_next_page(body.last_run)}>; rel="next"'  # RFC 8288
    if body.notices:
        fields["X-Export-Warnings"] = warnings_field(body.notices)
    return response


def _next_page(last: UUID) -> str:
    """Return the address of the page of runs behind the last one of this page."""
    pairs = [pair for pair in request.args.items(multi=True) if pair[0] != AFTER]
    path = url_for(str(request.endpoint), **(request.view_args or {}))
    return f"{path}?{urlencode([*pairs, (AFTER, str(last))])}"


def not_modified(tag: Tag) -> Response:
    """Answer that the client has the export already (RFC 9110, section 15.4.5)."""
    return Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": str(tag)})


def with_etag(response: Response) -> Response:
    """Tag a small answer by its bytes, and leave them out where the client has them."""
    response.add_etag()
    response.make_conditional(request)
    return response


def prove(response: Response) -> None:
    """Let an answer prove that it is whole, as exports do: give its length and digest.

    The length goes first: who has the whole digest cannot have half a number.
    """
    if "Repr-Digest" in response.headers or response.status_code in BODILESS:
        return
    data = response.get_data()
    response.content_length = len(data)
    response.headers["Repr-Digest"] = digest_field(sha256(data).digest())


def digest_field(digest: bytes) -> str:
    """Write Repr-Digest (RFC 9530, section 3): of the whole, as it is coded."""
    return f"sha-256=:{b64encode(digest).decode()}:"


def disposition(title: str, extension: str) -> str:
    """Write Content-Disposition (RFC 6266): `inline`, so that browsers show an export.

    The file name only matters where somebody saves it. It is made from any title, as
    ASCII and, where that loses something, in UTF-8 (RFC 8187) beside it.
    """
    stem = _file_stem(title)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)
    if not plain.strip("._"):
        plain = "experiment"
    field = f'inline; filename="{plain}.{extension}"'
    if plain != stem:
        field += f"; filename*=UTF-8''{quote(stem, safe='')}.{extension}"
    return field


def warnings_field(notices: Sequence[Notice]) -> str:
    """Write notices as a JSON list in ASCII; a last number counts those left out."""
    kept: list[str] = []
    length = 0
    for notice in notices:
        row = {name: value for name, value in vars(notice).items() if value is not None}
        text = json.dumps(row).replace("\x7f", "\\u007f")  # DEL is no field content
        length += len(text) + len(", ")
        if length > MAXIMUM_WARNINGS_BYTES - len("[, 9999999999]"):
            break
        kept.append(text)
    if left_out := len(notices) - len(kept):
        kept.append(str(left_out))
    return f"[{', '.join(kept)}]"


def _file_stem(title: str) -> str:
    """Make a file name that every system takes out of a text."""
    kept = "".join(
        c for c in title[:_READ] if unicodedata.category(c) not in _UNWRITABLE
    )
    clean = _RESERVED.sub("_", kept).strip(". ")
    cut = clean.encode()[:_MAXIMUM_NAME_BYTES].decode(errors="ignore")
    return cut.strip(". ") or "experiment"
