"""The exports of an experiment: one negotiated resource, and four fixed ones.

The order of the checks is part of the contract: what is wrong with the request alone is
said alike for every experiment, and costs no database connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, g, request, url_for
from marshmallow import Schema

from promptlooper_export.documents import JSON, Best, Report, Runs
from promptlooper_export.errors import (
    ForbiddenError,
    InvalidParameterError,
    NotAcceptableError,
)
from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.negotiation import Offer, choose
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.store.open import Store
from promptlooper_export.viewer import Viewer
from promptlooper_export.web import responses, tokens
from promptlooper_export.web.parameters import (
    FORMAT,
    TOP_N,
    Pairs,
    common_parameters,
    read_common,
    read_experiment,
    read_options,
)

CLASSIC = {
    "best": ("json", "application/json"),
    "env": ("env", "text/plain"),
    "yaml": ("yaml", "text/yaml"),
    "report": ("markdown", "text/markdown"),
}
"""The last segment of a classic path, its format and the type that its clients know."""

SCOPES = {Best: "export:best", Report: "export:report", Runs: "export:runs"}
"""What a token must cover for a document."""

_NEGOTIATED = "negotiated"
_MALFORMED_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class Exports:
    """What every export needs."""

    store: Store
    registry: Registry
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request whose token, id and common parameters are good."""

    viewer: Viewer
    experiment: UUID
    common: type[Schema]
    values: Mapping[str, Any]
    pairs: Pairs


def blueprint(exports: Exports) -> Blueprint:
    """Route the negotiated resource and the classic paths of installed formats."""
    routes = Blueprint("exports", __name__)
    routes.add_url_rule(
        "/experiments/<experiment>/export",
        endpoint=_NEGOTIATED,
        view_func=partial(
            _negotiated, exports, common_parameters(exports.registry, negotiated=True)
        ),
    )
    fixed = common_parameters(exports.registry, negotiated=False)
    for segment, (name, media_type) in CLASSIC.items():
        if name in exports.registry.formats:
            routes.add_url_rule(
                f"/api/export/experiments/<experiment>/{segment}",
                endpoint=f"classic-{segment}",
                view_func=partial(_classic, exports, fixed, name, media_type),
            )
    return routes


def _negotiated(exports: Exports, common: type[Schema], experiment: str) -> Response:
    try:
        asked = _read(common, experiment)
    except InvalidParameterError as error:
        if error.members["parameter"] == FORMAT:
            error.members["available"] = _available(exports.registry, experiment)
        raise
    if name := asked.values.get(FORMAT):
        named = exports.registry.formats[name]
        return _answer(exports, asked, named, named.media_types[0].lower())
    chosen, media_type = _choose(exports.registry, asked)
    response = _answer(exports, asked, chosen, media_type)
    response.headers["Vary"] = "Accept"
    response.headers["Content-Location"] = _location(
        asked.experiment, [(FORMAT, chosen.name), *asked.pairs]
    )
    return response


def _classic(
    exports: Exports,
    common: type[Schema],
    name: str,
    media_type: str,
    experiment: str,
) -> Response:
    asked = _read(common, experiment)
    return _answer(exports, asked, exports.registry.formats[name], media_type)


def _read(common: type[Schema], experiment: str) -> _Asked:
    viewer = tokens.viewer()
    identifier = read_experiment(experiment)
    pairs = list(request.args.items(multi=True))
    return _Asked(
        viewer=viewer,
        experiment=identifier,
        common=common,
        values=read_common(common, pairs),
        pairs=pairs,
    )


def _choose(registry: Registry, asked: _Asked) -> tuple[AnyFormat, str]:
    offers = [
        Offer(name=row.name, media_types=tuple(map(str.lower, row.media_types)))
        for row in registry.formats.values()
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
    available = _available(registry, asked.experiment)
    raise NotAcceptableError(detail, available=available, **members)


def _answer(
    exports: Exports,
    asked: _Asked,
    format: AnyFormat,  # noqa: A002  the field's word
    media_type: str,
) -> Response:
    g.format = format.name
    _check_scope(asked.viewer, format)
    options = read_options(format, asked.common, asked.pairs)
    selection = Selection()
    if TOP_N in asked.values:
        selection = Selection(top_n=asked.values[TOP_N])
    body = export(
        exports.store,
        asked.viewer,
        asked.experiment,
        format,
        options,
        selection=selection,
        limits=exports.limits,
    )
    return responses.send(body, media_type=media_type, extension=format.extension)


def _check_scope(viewer: Viewer, format: AnyFormat) -> None:  # noqa: A002
    scope = SCOPES[format.document]
    if scope not in viewer.scopes:
        detail = f"Format {format.name!r} needs a token with the scope {scope}."
        raise ForbiddenError(detail, scope=scope)


def _available(registry: Registry, experiment: UUID | str) -> list[dict[str, JSON]]:
    return [
        {
            "name": row.name,
            "media_types": list(row.media_types),
            "url": _location(experiment, [(FORMAT, row.name)]),
        }
        for row in registry.formats.values()
    ]


def _location(experiment: UUID | str, pairs: Pairs) -> str:
    path = url_for(f"exports.{_NEGOTIATED}", experiment=experiment)
    return f"{path}?{urlencode(pairs)}"
