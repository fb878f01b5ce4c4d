"""The experiments that a token may see: JSON for programs, a page for people."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from marshmallow import Schema, fields
from marshmallow.validate import Range

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    ExperimentNotFoundError,
    InvalidParameterError,
    NotAcceptableError,
    UnauthorizedError,
    UnreadableRowError,
)
from promptlooper_export.negotiation import Offer, choose
from promptlooper_export.redaction import redact_text
from promptlooper_export.registry import AnyFormat, Registry, load_options
from promptlooper_export.schemas import DocumentSchema, ExperimentSummarySchema
from promptlooper_export.store.experiments import ExperimentSummary
from promptlooper_export.store.snapshot import Snapshot, Store
from promptlooper_export.web import authentication, delivery, pages
from promptlooper_export.web.delivery import export_url
from promptlooper_export.web.exports import SCOPES
from promptlooper_export.web.parameters import FORMAT, Identifier, WholeNumber

_OFFERS = (
    Offer(name="json", media_types=("application/json",)),
    Offer(name="html", media_types=("text/html",)),
)


class ListedExperimentSchema(ExperimentSummarySchema):
    """An experiment that the token may see."""

    formats = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"format": "uri-reference"}),
        required=True,
        metadata={"description": "The URL of each export, by format name."},
    )


class ExperimentsSchema(DocumentSchema):
    """A page of experiments, newest first."""

    items = fields.List(fields.Nested(ListedExperimentSchema), required=True)
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "format": "uri-reference",
            "description": "The URL of the next page; null on the last page.",
        },
    )


class PageParameters(Schema):
    """Which experiments to list, newest first."""

    limit = WholeNumber(
        validate=Range(1, 100, error="Must be a whole number from {min} to {max}."),
        load_default=50,
        metadata={"description": "List at most this many experiments."},
    )
    after = Identifier(
        metadata={"description": "The id of the last experiment on the previous page."},
    )


REFUSALS = (
    UnauthorizedError,
    InvalidParameterError,
    NotAcceptableError,
    UnreadableRowError,
    DatabaseUnavailableError,
    DatabaseNotUnderstoodError,
)
"""The problems of the list; OpenAPI lists them."""


def blueprint(store: Store, registry: Registry) -> Blueprint:
    """Route `/experiments`, and redirect `/` to it."""
    routes = Blueprint("experiments", __name__)
    routes.add_url_rule("/", endpoint="root", view_func=_root)
    routes.add_url_rule(
        "/experiments", endpoint="list", view_func=partial(_list, store, registry)
    )
    return routes


def _root() -> Response:
    response = Response(status=HTTPStatus.SEE_OTHER)
    response.headers["Location"] = url_for("experiments.list")
    # RFC 8631
    response.headers["Link"] = (
        f'<{url_for("description.openapi_json")}>; rel="service-desc"; '
        f'type="application/json", <{url_for("description.docs")}>; rel="service-doc"; '
        'type="text/html"'
    )
    del response.headers["Content-Type"]  # there is no body
    return response


def _list(store: Store, registry: Registry) -> Response:
    viewer = authentication.viewer()
    asked = load_options(PageParameters, list(request.args.items(multi=True)))
    name = _choose()
    with store.snapshot(viewer) as snapshot:
        # One more than shown tells whether there is a next page.
        found = _page(snapshot, asked.get("after"), asked["limit"] + 1)
    shown = found[: asked["limit"]]
    following = (
        _address(asked["limit"], shown[-1].id) if len(found) > len(shown) else None
    )
    formats = [
        row
        for row in registry.formats.values()
        if SCOPES[row.document] in viewer.scopes
    ]
    if name == "html":
        response = pages.page(
            "experiments.html",
            experiments=[(row, _links(row, formats)) for row in shown],
            formats=formats,
            next=following,
        )
    else:
        items = [{**vars(row), "formats": _links(row, formats)} for row in shown]
        document = {"items": items, "next": following}
        response = Response(
            ExperimentsSchema().dumps(document), mimetype="application/json"
        )
    response.headers["Vary"] = "Accept"
    return delivery.with_etag(response)


def _choose() -> str:
    """Choose JSON or the page by Accept. Raises NotAcceptableError."""
    choice = choose(request.headers.get("Accept"), _OFFERS)
    if choice.offer is not None:
        return choice.offer.name
    available = [
        {
            "name": offer.name,
            "media_types": list(offer.media_types),
            "url": url_for("experiments.list"),
        }
        for offer in _OFFERS
    ]
    detail = "Experiments are available as JSON and HTML; put one of them into Accept."
    raise NotAcceptableError(detail, available=available)


def _page(snapshot: Snapshot, last: UUID | None, count: int) -> list[ExperimentSummary]:
    """Return the first rows after the last one on the previous page.

    Raises InvalidParameterError if the viewer cannot see that one.
    """
    try:
        return [
            replace(row, name=redact_text(row.name))
            for row in snapshot.experiments(after=last, limit=count)
        ]
    except ExperimentNotFoundError as error:
        detail = "The experiment in 'after' no longer exists: start again without it."
        raise InvalidParameterError(detail, parameter="after") from error


def _links(row: ExperimentSummary, formats: Sequence[AnyFormat]) -> dict[str, str]:
    return {one.name: export_url(row.id, [(FORMAT, one.name)]) for one in formats}


def _address(limit: int, last: UUID) -> str:
    query = urlencode({"limit": limit, "after": str(last)})
    return f"{url_for('experiments.list')}?{query}"
