"""Deliver an export: render it where the client lacks it, code it, send it or a part.

What is left to be refused here needs the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Response, request

from promptlooper_export.codings import IDENTITY, Encoder, takes_identity
from promptlooper_export.errors import ExportError
from promptlooper_export.export import Limits, export
from promptlooper_export.registry import Registry
from promptlooper_export.spool import Body, recode
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import Viewer
from promptlooper_export.web import conditional, responses
from promptlooper_export.web.etags import Representation, Tag
from promptlooper_export.web.policy import export_policy
from promptlooper_export.web.slots import Slots

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
        return responses.not_modified(tag)
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
            return responses.not_modified(tag)
        part = None if is_coded else conditional.part(request, tag, body.length)
    except ExportError:
        body.file.close()
        raise
    response = responses.send(
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
