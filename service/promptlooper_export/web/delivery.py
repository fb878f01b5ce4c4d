"""Deliver an export: render it if the client lacks it, code it, send it or a part.

What is left to be refused here needs the database.
"""

import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import IO
from urllib.parse import quote, urlencode
from uuid import UUID

from flask import Response, request, url_for

from promptlooper_export.codings import IDENTITY, Encoder, takes_identity
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Notice
from promptlooper_export.export import Limits, export
from promptlooper_export.registry import Registry
from promptlooper_export.spool import Body, recode
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import Viewer
from promptlooper_export.web import conditional, problems
from promptlooper_export.web.conditional import Representation, Tag
from promptlooper_export.web.parameters import AFTER, FORMAT, Pairs
from promptlooper_export.web.slots import Slots

NEGOTIATED = "exports.negotiated"
"""The endpoint of the resource that negotiates."""

HTML = "text/html"
"""What people see: it links to the other formats, 304 included."""

MINIMUM_CODED_BYTES = 1024
"""Bodies below it are sent as they are: little would be gained."""

MAXIMUM_WARNINGS_BYTES = 2048
"""The longest X-Export-Warnings; proxies often allow 4 KiB for all fields together."""

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
"""Statuses whose answers never have a body, nor a length (RFC 9110, section 8.6)."""

_MAXIMUM_NAME_BYTES = 150  # most file systems allow 255, and people add to names
_READ = 4096  # a title may have millions of characters
_UNWRITABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_RESERVED = re.compile(r'[/\\:*?"<>|]')

HEAD_BYTES = 1 << 18
"""How far a style may reach into an exported page to be allowed."""

_NONE = "'none'"

# What browsers show as a document that could load and run something.
_ACTIVE = re.compile(r"text/html|.+[/+]xml")
_BODY = re.compile(r"<body\b", re.IGNORECASE)
_STYLE = re.compile(r"<style\b[^>]*+>(.*?)</style\b", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Exports:
    """What every export needs."""

    store: Store
    registry: Registry
    limits: Limits
    slots: Slots
    codings: Mapping[str, Encoder]


def deliver(
    exports: Exports,
    viewer: Viewer,
    wanted: Representation,
    *,
    coding: str | None,
    location: str | None,
) -> Response:
    """Answer with the export, a part of it, or that the client has it already.

    `coding` is the one to apply, None for a media type that no coding makes smaller;
    `location` is the address of what Accept chose, None if the request names a format.
    Raises what export() raises, TooManyExportsError, PreconditionFailedError and
    RangeNotSatisfiableError.
    """
    if tag := _held(exports, viewer, wanted, coding):
        return _not_modified(exports, wanted, tag, location)
    with ExitStack() as files:
        with exports.slots.take(viewer.subject):
            body = files.enter_context(_render(exports, viewer, wanted))
            policy = export_policy(wanted.media_type, body.file)
            coded, applied = _code(exports, body, coding)
            body = files.enter_context(coded)
        tag = wanted.tag(body.content, applied)
        if conditional.is_not_modified(request, tag):
            return _not_modified(exports, wanted, tag, location)
        is_coded = applied not in (None, IDENTITY)
        part = None if is_coded else conditional.part(request, tag, body.length)
        response = Response(body.chunks(part), mimetype=wanted.media_type)
        response.headers.update(_common_fields(exports, wanted, tag, location))
        response.headers.update(_body_fields(body, wanted, part))
        if is_coded:
            response.headers["Content-Encoding"] = str(applied)
        can_resume = not (tag.weak or is_coded)
        response.headers["Accept-Ranges"] = "bytes" if can_resume else "none"
        if policy is not None:
            response.headers["Content-Security-Policy"] = policy
        if part is not None:
            response.status_code = HTTPStatus.PARTIAL_CONTENT
        response.call_on_close(files.pop_all().close)
    return response


def _not_modified(
    exports: Exports, wanted: Representation, tag: Tag, location: str | None
) -> Response:
    fields = _common_fields(exports, wanted, tag, location)
    return Response(status=HTTPStatus.NOT_MODIFIED, headers=fields)


def _common_fields(
    exports: Exports, wanted: Representation, tag: Tag, location: str | None
) -> dict[str, str]:
    """Return the fields that 304 repeats (RFC 9110, section 15.4.5)."""
    fields = {"ETag": str(tag)}
    if location is not None:
        fields["Content-Location"] = location
    if not wanted.selection.redact:
        fields["Cache-Control"] = "no-store"  # nobody is to keep the secrets
    if wanted.media_type == HTML:
        formats = available(exports.registry, wanted.experiment)
        fields["Link"] = problems.alternates(formats)
    return fields


def _body_fields(
    body: Body, wanted: Representation, part: range | None
) -> dict[str, str]:
    """Return the fields of a body or a part of it, and those that speak of it.

    The length goes ahead of the body, so that no client can take a part for the whole.
    """
    fields = {"Content-Length": str(body.length if part is None else len(part))}
    if part is not None:
        fields["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{body.length}"
    fields["Repr-Digest"] = digest_field(body.sha256)
    fields["Content-Disposition"] = disposition(body.title, wanted.format.extension)
    if body.row_count is not None:
        fields["X-Row-Count"] = str(body.row_count)
    if body.last_run is not None:
        fields["Link"] = f'<{_next_page(body.last_run)}>; rel="next"'  # RFC 8288
    if body.notices:
        fields["X-Export-Warnings"] = warnings_field(body.notices)
    return fields


def _next_page(last: UUID) -> str:
    """Return the address of the page of runs behind the last one of this page."""
    pairs = [pair for pair in request.args.items(multi=True) if pair[0] != AFTER]
    path = url_for(str(request.endpoint), **(request.view_args or {}))
    return f"{path}?{urlencode([*pairs, (AFTER, str(last))])}"


def _render(exports: Exports, viewer: Viewer, wanted: Representation) -> Body:
    return export(
        exports.store,
        viewer,
        wanted.experiment,
        wanted.format,
        wanted.options,
        selection=wanted.selection,
        limits=exports.limits,
        note=wanted.key,
    )


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


def export_url(experiment: UUID | str, pairs: Pairs) -> str:
    """Return the address of an export with these parameters."""
    path = url_for(NEGOTIATED, experiment=experiment)
    return f"{path}?{urlencode(pairs)}"


def available(registry: Registry, experiment: UUID | str) -> list[dict[str, JSON]]:
    """Say of every format what it is called, its media types and its address."""
    return [
        {
            "name": row.name,
            "media_types": list(row.media_types),
            "url": export_url(experiment, [(FORMAT, row.name)]),
        }
        for row in registry.formats.values()
    ]


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


def _file_stem(title: str) -> str:
    """Make a file name that every system takes out of a text."""
    kept = "".join(
        c for c in title[:_READ] if unicodedata.category(c) not in _UNWRITABLE
    )
    clean = _RESERVED.sub("_", kept).strip(". ")
    cut = clean.encode()[:_MAXIMUM_NAME_BYTES].decode(errors="ignore")
    return cut.strip(". ") or "experiment"


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
