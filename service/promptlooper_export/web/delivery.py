"""Deliver an export: render it if the client lacks it, code it, send it or a part.

The refusals made here need the database; earlier checks have made all others.
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
from promptlooper_export.export import Limits, export, made_before
from promptlooper_export.registry import Registry
from promptlooper_export.spool import Body, recode
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import Viewer
from promptlooper_export.web import conditional, problems
from promptlooper_export.web.conditional import Representation, Tag
from promptlooper_export.web.parameters import AFTER, FORMAT, Pairs
from promptlooper_export.web.slots import Slots

NEGOTIATED = "exports.negotiated"
"""The endpoint of the negotiated resource."""

HTML = "text/html"
"""The media type that people see; it links to the other formats, even in a 304."""

MINIMUM_CODED_BYTES = 1024
"""Smaller bodies are sent uncoded, since there is little to gain."""

MAXIMUM_WARNINGS_BYTES = 2048
"""The longest X-Export-Warnings; proxies often allow 4 KiB for all headers."""

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
"""Statuses whose answers have neither a body nor a length (RFC 9110, section 8.6)."""

_MAXIMUM_NAME_BYTES = 150  # most file systems allow 255, and people extend names
_READ = 4096  # characters; a title may have millions
# Controls, direction marks, half surrogate pairs and line separators: they could
# break the header or disguise the extension.
_UNWRITABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Windows allows none of these in a name.
_RESERVED = re.compile(r'[/\\:*?"<>|]')

HEAD_BYTES = 1 << 18
"""A style is allowed only if it ends within this many bytes of an exported page."""

_NONE = "'none'"
_SANDBOX = "sandbox allow-same-origin allow-downloads"

# Media types that browsers show as a document that could load and run things.
_ACTIVE = re.compile(r"text/html|.+[/+]xml")
_BODY = re.compile(r"<body\b", re.IGNORECASE)
# One without an end goes to the end of the text: looked for again from each of the
# next, many would take the square of their number.
_STYLE = re.compile(
    r"<style\b[^>]*+(?:>(.*?)(?:(</style\b)|\Z)|\Z)", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Exports:
    """What every export needs."""

    store: Store
    registry: Registry
    limits: Limits
    slots: Slots
    codings: Mapping[str, Encoder]
    log_format: str


def deliver(
    exports: Exports,
    viewer: Viewer,
    wanted: Representation,
    *,
    coding: str | None,
    location: str | None,
) -> Response:
    """Answer with the export, a part of it, or that the client already has it.

    `coding` is the one to apply, None for a media type that no coding makes smaller;
    `location` is the address of what Accept chose, None if the request names a format.
    Raises what export() raises, TooManyExportsError, PreconditionFailedError and
    RangeNotSatisfiableError.
    """
    # A match needs no rendering, and so no slot.
    if tag := _held(exports, viewer, wanted, coding):
        return _not_modified(exports, wanted, tag, location)
    with ExitStack() as files:
        # Held while coding as well: compressing takes time, sending does not.
        with exports.slots.take(viewer.subject):
            body = files.enter_context(_render(exports, viewer, wanted))
            policy = export_policy(wanted.media_type, body.file)
            coded, applied = _code(exports, body, coding)
            body = files.enter_context(coded)
        tag = wanted.tag(body.content, applied)
        if conditional.is_not_modified(request, tag):
            return _not_modified(exports, wanted, tag, location)
        is_coded = applied not in (None, IDENTITY)
        # A resumed download would have to get the very same compressed bytes again.
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
        # From here on the response owns the file, even if the client leaves midway.
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
        fields["Cache-Control"] = "no-store"  # nobody may keep the secrets
    if wanted.media_type == HTML:
        formats = available(exports.registry, wanted.experiment)
        fields["Link"] = problems.alternates(formats)
    return fields


def _body_fields(
    body: Body, wanted: Representation, part: range | None
) -> dict[str, str]:
    """Return the fields of a body or a part of it, and those that speak of it.

    The length is sent first, so that no client mistakes a part for the whole.
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
    """Return the URL of the page of runs after this one."""
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
    """Return the tag of the client's export if it is still current, else None.

    Also None if this process has not rendered it since the last change: then only
    rendering can tell.
    """
    if not conditional.asks_whether_modified(request):
        return None
    made = made_before(
        exports.store, viewer, wanted.experiment, wanted.key, wanted.selection
    )
    if made is None:
        return None
    # The length is unknown here, so the body may have been too small to code.
    return conditional.held(
        request, (wanted.tag(made.content, applied) for applied in (None, coding))
    )


def _code(exports: Exports, body: Body, coding: str | None) -> tuple[Body, str | None]:
    """Apply the coding, and return the one that goes into the tag."""
    if coding is None:
        return body, None
    identity = takes_identity(request.headers.get("Accept-Encoding"))
    if body.length < MINIMUM_CODED_BYTES and identity:
        return body, None
    if coding == IDENTITY:
        return body, IDENTITY
    encode = exports.codings[coding]
    return recode(body, encode, space=exports.limits.space), coding


def export_url(experiment: UUID | str, pairs: Pairs) -> str:
    """Return the URL of an export with these parameters."""
    path = url_for(NEGOTIATED, experiment=experiment)
    return f"{path}?{urlencode(pairs)}"


def report_url(experiment: UUID | str) -> str:
    """Return the URL of the report for a browser, which leads on from there."""
    return export_url(experiment, [(FORMAT, "html"), ("links", "1")])


def available(registry: Registry, experiment: UUID | str) -> list[dict[str, JSON]]:
    """Describe every format by its name, its media types and its URL."""
    return [
        {
            "name": row.name,
            "media_types": list(row.media_types),
            "url": export_url(experiment, [(FORMAT, row.name)]),
        }
        for row in registry.formats.values()
    ]


def digest_field(digest: bytes) -> str:
    """Write Repr-Digest (RFC 9530, section 3), for the whole body as coded."""
    return f"sha-256=:{b64encode(digest).decode()}:"


def disposition(title: str, extension: str) -> str:
    """Write Content-Disposition (RFC 6266): `inline`, so that browsers show an export.

    The file name only matters if somebody saves the file. It is derived from the title
    as ASCII and, if that loses something, in UTF-8 as well (RFC 8187).
    """
    stem = _file_stem(title)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)
    # Only dots and underscores: the title was in another script.
    if not plain.strip("._"):
        plain = "experiment"
    field = f'inline; filename="{plain}.{extension}"'
    if plain != stem:
        field += f"; filename*=UTF-8''{quote(stem, safe='')}.{extension}"
    return field


def _file_stem(title: str) -> str:
    """Turn a text into a file name that every system accepts."""
    kept = "".join(
        c for c in title[:_READ] if unicodedata.category(c) not in _UNWRITABLE
    )
    clean = _RESERVED.sub("_", kept).strip(". ")
    # ignore drops a character that the cut has split.
    cut = clean.encode()[:_MAXIMUM_NAME_BYTES].decode(errors="ignore")
    return cut.strip(". ") or "experiment"


def warnings_field(notices: Sequence[Notice]) -> str:
    """Write notices as an ASCII JSON list; a last number counts those left out."""
    kept: list[str] = []
    length = 0
    for notice in notices:
        row = {name: value for name, value in vars(notice).items() if value is not None}
        text = json.dumps(row).replace("\x7f", "\\u007f")  # RFC 9110, 5.5: no DEL
        length += len(text) + len(", ")
        if length > MAXIMUM_WARNINGS_BYTES - len("[, 9999999999]"):
            break
        kept.append(text)
    if left_out := len(notices) - len(kept):
        kept.append(str(left_out))
    return f"[{', '.join(kept)}]"


def page_policy(style: str, *, form_action: str = _NONE) -> str:
    """Return the policy for a page of the service, which has one style element.

    `form_action` is where its forms may be sent.
    """
    return _policy([style], form_action)


def export_policy(media_type: str, file: IO[bytes]) -> str | None:
    """Return the policy for an export, whoever wrote its format; None for plain data.

    It allows the style elements in the head, and images inside the file. Nothing runs:
    scripts have no source, and `sandbox` does not allow them either. It allows the
    page's origin, since a browser sends the session's cookie along with a link only
    from the same site. The file is left at its start.
    """
    if not _ACTIVE.fullmatch(media_type):
        return None
    # Browsers also replace what they cannot decode.
    text = file.read(HEAD_BYTES).decode(errors="replace")
    file.seek(0)
    # HTML parsers turn every line break into LF, and browsers hash the result.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = _BODY.split(text, maxsplit=1)[0]
    styles = [style for style, end in _STYLE.findall(head) if end]
    return f"{_policy(styles, _NONE)}; img-src data:; {_SANDBOX}"


def _policy(styles: Iterable[str], form_action: str) -> str:
    hashes = [
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in styles
    ]
    return (
        # Only styles with these exact contents: a style that a value smuggles in is not
        # applied.
        f"default-src 'none'; style-src {' '.join(hashes) or _NONE}; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )


def with_etag(response: Response) -> Response:
    """Tag a small answer by its bytes, and answer 304 if the client has them."""
    response.add_etag()
    response.make_conditional(request)
    return response


def prove(response: Response) -> None:
    """Give an answer its length and digest, so that clients can check it is whole.

    The length goes first: a client that has the digest cannot have half a length.
    """
    if "Repr-Digest" in response.headers or response.status_code in BODILESS:
        return
    data = response.get_data()
    response.content_length = len(data)
    response.headers["Repr-Digest"] = digest_field(sha256(data).digest())
