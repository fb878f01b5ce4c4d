"""Choose the format and the coding of an export, and say what there is to choose."""

from urllib.parse import urlencode
from uuid import UUID

from flask import g, request, url_for

from promptlooper_export import codings
from promptlooper_export.documents import JSON
from promptlooper_export.errors import CodingNotAcceptableError, NotAcceptableError
from promptlooper_export.export import Selection
from promptlooper_export.negotiation import Offer, choose, is_textual
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.web.delivery import Exports
from promptlooper_export.web.parameters import FORMAT, Pairs

NEGOTIATED = "exports.negotiated"
"""The endpoint of the resource that negotiates."""

_MALFORMED_SHOWN = 200


def choose_format(registry: Registry, experiment: UUID) -> tuple[AnyFormat, str]:
    """Return the format that Accept likes best, and the media type to send it as.

    Raises NotAcceptableError.
    """
    offers = [
        Offer(name=row.name, media_types=tuple(map(str.lower, row.media_types)))
        for row in registry.formats.values()
        if row.name not in registry.missing
    ]
    choice = choose(request.headers.get("Accept"), offers)
    if choice.offer is not None and choice.media_type is not None:
        return registry.formats[choice.offer.name], choice.media_type
    detail = (
        "No format matches Accept: name a media type of `available`, or ?format=NAME."
    )
    members: dict[str, JSON] = {}
    if choice.malformed is not None:
        members["malformed"] = choice.malformed[:_MALFORMED_SHOWN]
        detail += " A member of Accept is malformed and did not count."
    formats = available(registry, experiment)
    raise NotAcceptableError(detail, available=formats, **members)


def choose_coding(
    exports: Exports, media_type: str, selection: Selection
) -> str | None:
    """Return the coding that the client likes best, None where none is to be had.

    Secrets are not compressed: sizes would tell of them (breachattack.com). Raises
    CodingNotAcceptableError.
    """
    is_coded = is_textual(media_type) and selection.redact
    offers = tuple(exports.codings) if is_coded else ()
    coding = codings.choose_coding(request.headers.get("Accept-Encoding"), offers)
    if coding is None:
        allowed = [codings.IDENTITY, *offers]
        detail = f"Accept-Encoding allows none of: {', '.join(allowed)}."
        raise CodingNotAcceptableError(detail, available=allowed)
    if not offers:
        return None
    g.vary.add("Accept-Encoding")
    return coding


def available(registry: Registry, experiment: UUID | str) -> list[dict[str, JSON]]:
    """Say of every format what it is called, its media types and its address."""
    return [
        {
            "name": row.name,
            "media_types": list(row.media_types),
            "url": location(experiment, [(FORMAT, row.name)]),
        }
        for row in registry.formats.values()
    ]


def location(experiment: UUID | str, pairs: Pairs) -> str:
    """Return the address of an export with these parameters."""
    path = url_for(NEGOTIATED, experiment=experiment)
    return f"{path}?{urlencode(pairs)}"
