"""Deliver an export: render it if the client lacks it, code it, send it or a part.

What is left to be refused here needs the database.
"""

import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import IO
from urllib.parse import quote, urlencode
from uuid import UUID

from flask import Response, request, url_for

from promptlooper_export.codings import IDENTITY, Encoder, takes_identity
from promptlooper_export.documents import Notice
from promptlooper_export.errors import ExportError
from promptlooper_export.export import Limits, export
from promptlooper_export.registry import Registry
from promptlooper_export.spool import Body, recode
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import Viewer
from promptlooper_export.web import conditional
from promptlooper_export.web.conditional import Representation, Tag
from promptlooper_export.web.parameters import AFTER
from promptlooper_export.web.slots import Slots

HEAD_BYTES = 1 << 18
"""How far a style may reach into an exported page to be allowed."""

_NONE = "'none'"

# What browsers show as a document that could load and run something.
_ACTIVE = re.compile(r"text/html|.+[/+]xml")
_BODY = re.compile(r"<body\b", re.IGNORECASE)
_STYLE = re.compile(r"<style\b[^>]*+>(.*?)</style\b", re.DOTALL | re.IGNORECASE)


def page_policy(style: str, *, form_action: str = _NONE) -> str:
    """Return the policy of a page of the service, which has one style element.

    `form_action` is where its forms may send to.
    """
    return _policy([style], form_action)


def export_policy(media_type: str, file: IO[bytes]) -> str | None:
    """Return the policy of an export, whoever wrote its format; None for plain data.

    It allows the style elements in the head, and images inside the file; `sandbox`
    takes the page away from the origin of the service. The file is left at its start.
    """
    if not _ACTIVE.fullmatch(media_type):
        return None
    text = file.read(HEAD_BYTES).decode(errors="replace")
    file.seek(0)
    # Parsers of HTML read every line break as LF before the hash is taken.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    styles = _STYLE.findall(_BODY.split(text, maxsplit=1)[0])
    return f"{_policy(styles, _NONE)}; img-src data:; sandbox"


def _policy(styles: Iterable[str], form_action: str) -> str:
    hashes = [
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in styles
    ]
    return (
        f"default-src 'none'; style-src {' '.join(hashes) or _NONE}; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )


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
        text = json.dumps(row).replace("\x7f", "\\u007f")  # DEL is not field content
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


MINIMUM_CODED_BYTES = 1024
"""Bodies below it are sent as they are: little would be gained."""


@dataclass(frozen=True, kw_only=True)
class Exports:
    """What every export needs."""

    store: Store
    registry: Registry
    limits: Limits
    slots: Slots
    codings: Mapping[str, Encoder]


def deliver(
    exports: Exports, viewer: Viewer, wanted: Representation, *, coding: str | None
) -> Response:
    """Answer with the export, a part of it, or that the client has it already.

    `coding` is the one to apply, None for a media type that no coding makes smaller.
    Raises what export() raises, TooManyExportsError, PreconditionFailedError and
    RangeNotSatisfiableError.
    """
    if tag := _held(exports, viewer, wanted, coding):
        return not_modified(tag)
    with exports.slots.take(viewer.subject):
        body = export(
            exports.store,
            viewer,
            wanted.experiment,
            wanted.format,
            wanted.options,
            selection=wanted.selection,
            limits=exports.limits,
            note=wanted.key,
        )
        policy = export_policy(wanted.media_type, body.file)
        body, applied = _code(exports, body, coding)
    tag = wanted.tag(body.content, applied)
    is_coded = applied not in (None, IDENTITY)
    try:
        if conditional.is_not_modified(request, tag):
            body.file.close()
            return not_modified(tag)
        part = None if is_coded else conditional.part(request, tag, body.length)
    except ExportError:
        body.file.close()
        raise
    response = send(
        body,
        media_type=wanted.media_type,
        extension=wanted.format.extension,
        tag=tag,
        coding=applied if is_coded else None,
        part=part,
    )
    if policy is not None:
        response.headers["Content-Security-Policy"] = policy
    return response


def _held(
    exports: Exports, viewer: Viewer, wanted: Representation, coding: str | None
) -> Tag | None:
    """Return the tag of the export that the client has, if nothing changed meanwhile.

    None as well if this process has not rendered it since the last change: then only
    rendering tells.
    """
    if not conditional.asks_whether_modified(request):
        return None
    with exports.store.snapshot(viewer) as snapshot:
        content = snapshot.noted(wanted.experiment, wanted.key)
    if content is None:
        return None
    # Without its length, a body may be too small to be coded.
    return conditional.held(
        request, [wanted.tag(content, None), wanted.tag(content, coding)]
    )


def _code(exports: Exports, body: Body, coding: str | None) -> tuple[Body, str | None]:
    """Apply the coding, and say which one decides the tag."""
    if coding is None:
        return body, None
    identity = takes_identity(request.headers.get("Accept-Encoding"))
    if body.length < MINIMUM_CODED_BYTES and identity:
        return body, None
    if coding == IDENTITY:
        return body, IDENTITY
    encode = exports.codings[coding]
    return recode(body, encode, directory=exports.limits.spool_directory), coding
