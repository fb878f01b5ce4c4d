"""The experiments that a token may see: JSON for programs, a page for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from marshmallow import Schema, fields
from marshmallow.validate import Length, OneOf, Range

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    ExperimentNotFoundError,
    InvalidParameterError,
    NotAcceptableError,
    TooManyExportsError,
    UnauthorizedError,
    UnreadableRowError,
)
from promptlooper_export.negotiation import Offer, choose
from promptlooper_export.redaction import redact, redact_text
from promptlooper_export.registry import AnyFormat, Registry, load_options
from promptlooper_export.schemas import DocumentSchema, ExperimentSummarySchema
from promptlooper_export.store.headline import Headline
from promptlooper_export.store.listing import ExperimentSummary, Order, Page
from promptlooper_export.store.snapshot import Snapshot
from promptlooper_export.viewer import REPORT_SCOPE, Viewer
from promptlooper_export.web import authentication, delivery, pages
from promptlooper_export.web.delivery import Exports, export_url, report_url
from promptlooper_export.web.exports import SCOPES
from promptlooper_export.web.parameters import (
    FORMAT,
    Identifier,
    WholeNumber,
    read_id,
)

_OFFERS = (
    Offer(name="json", media_types=("application/json",)),
    Offer(name="html", media_types=("text/html",)),
)


RANKED_RUNS = 50_000
"""The most runs that one page compares, so that it stays quick."""

_ORDERS: Mapping[Order, str] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "By name",
}
_TOP = 5


class ListedExperimentSchema(ExperimentSummarySchema):
    """An experiment that the token may see."""

    formats = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"format": "uri-reference"}),
        required=True,
        metadata={"description": "The URL of each export, by format name."},
    )


class ExperimentsSchema(DocumentSchema):
    """A page of experiments."""

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
    """Which experiments to list, and in which order."""

    search = fields.String(
        validate=Length(max=200),
        load_default="",
        metadata={"description": "List those whose name contains this, in any case."},
    )
    sort = fields.String(
        validate=OneOf(tuple(_ORDERS)),
        load_default="newest",
        metadata={"description": "The order of the experiments."},
    )
    limit = WholeNumber(
        validate=Range(1, 100, error="Must be a whole number from {min} to {max}."),
        load_default=50,
        metadata={"description": "List at most this many experiments."},
    )
    after = Identifier(
        metadata={"description": "The id of the last experiment on the previous page."},
    )


class NoParameters(Schema):
    """The parameters of the page of one experiment."""


REFUSALS = (
    UnauthorizedError,
    InvalidParameterError,
    NotAcceptableError,
    UnreadableRowError,
    DatabaseUnavailableError,
    DatabaseNotUnderstoodError,
)
"""The problems of the list; OpenAPI lists them."""

REFUSALS_OF_ONE = (*REFUSALS, ExperimentNotFoundError, TooManyExportsError)
"""The problems of one experiment."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """An experiment on the page; without a headline, `reason` says why."""

    experiment: ExperimentSummary
    links: Mapping[str, str]
    headline: Headline | None
    reason: str


def blueprint(exports: Exports) -> Blueprint:
    """Route `/experiments` and `/experiments/REFERENCE`, and redirect `/`."""
    routes = Blueprint("experiments", __name__)
    routes.add_url_rule("/", endpoint="root", view_func=_root)
    for rule, endpoint, view in (
        ("/experiments", "list", _list),
        ("/experiments/<reference>", "one", _one),
    ):
        routes.add_url_rule(rule, endpoint=endpoint, view_func=partial(view, exports))
    return routes


def _root() -> Response:
    response = _go_to(url_for("experiments.list"))
    # RFC 8631
    response.headers["Link"] = (
        f'<{url_for("description.openapi_json")}>; rel="service-desc"; '
        f'type="application/json", <{url_for("description.docs")}>; rel="service-doc"; '
        'type="text/html"'
    )
    return response


def _list(exports: Exports) -> Response:
    viewer = authentication.viewer()
    asked = load_options(PageParameters, list(request.args.items(multi=True)))
    formats = _formats(exports.registry, viewer)
    if _choose() == "html":
        return _tagged(_page_of_experiments(exports, viewer, asked, formats))
    with exports.store.snapshot(viewer) as snapshot:
        shown, following = _part(snapshot, asked)
    items = [_described(row, formats) for row in shown]
    return _tagged(_json(ExperimentsSchema(), {"items": items, "next": following}))


def _one(exports: Exports, reference: str) -> Response:
    """Answer with one experiment; a name leads to its id."""
    viewer = authentication.viewer()
    load_options(NoParameters, list(request.args.items(multi=True)))
    formats = _formats(exports.registry, viewer)
    name = _choose()
    identity = read_id(reference)
    with exports.store.snapshot(viewer) as snapshot:
        if identity is None:
            return _go_to(_address_of(snapshot, reference))
        found = _shown(snapshot, Page(matches=lambda id_, _: id_ == identity))
    if not found:
        raise ExperimentNotFoundError
    if name == "html":
        return _tagged(_page_of_one(exports, viewer, found[0], formats))
    return _tagged(_json(ListedExperimentSchema(), _described(found[0], formats)))


def _page_of_one(
    exports: Exports,
    viewer: Viewer,
    row: ExperimentSummary,
    formats: Sequence[AnyFormat],
) -> Response:
    report = None
    if REPORT_SCOPE in viewer.scopes:
        # It takes as long as the export of a report.
        with (
            exports.slots.take(viewer.subject),
            exports.store.snapshot(viewer) as snapshot,
        ):
            report = redact(snapshot.report(row.id, top_n=_TOP))
    return pages.page(
        "experiment.html",
        experiment=row,
        report=report,
        formats=formats,
        links=_links(row, formats),
        report_url=report_url(row.id),
    )


def _page_of_experiments(
    exports: Exports,
    viewer: Viewer,
    asked: Mapping[str, Any],
    formats: Sequence[AnyFormat],
) -> Response:
    with_winners = REPORT_SCOPE in viewer.scopes
    with exports.store.snapshot(viewer) as snapshot:
        shown, following = _part(snapshot, asked)
        rows = list(_rows(snapshot, shown, formats, RANKED_RUNS * with_winners))
    return pages.page(
        "experiments.html",
        form_action="'self'",
        rows=rows,
        formats=formats,
        with_winners=with_winners,
        asked=asked,
        orders=_ORDERS,
        next=following,
    )


def _rows(
    snapshot: Snapshot,
    shown: Sequence[ExperimentSummary],
    formats: Sequence[AnyFormat],
    left: int,
) -> Iterator[_Row]:
    """Yield what the page says; compare the runs of the first with `left` runs."""
    for row in shown:
        left -= row.runs
        headline, reason = None, "Too many runs to compare here"
        if left >= 0:
            headline, reason = _headline(snapshot, row.id)
        yield _Row(
            experiment=row,
            links=_links(row, formats),
            headline=headline,
            reason=reason,
        )


def _headline(snapshot: Snapshot, experiment: UUID) -> tuple[Headline | None, str]:
    try:
        found = snapshot.headline(experiment)
    except UnreadableRowError as error:
        return None, error.title  # the other experiments can be read
    if found is None:
        return None, "No scored run yet"
    return replace(found, run_name=found.run_name and redact_text(found.run_name)), ""


def _choose() -> str:
    """Choose JSON or the page by Accept. Raises NotAcceptableError."""
    choice = choose(request.headers.get("Accept"), _OFFERS)
    if choice.offer is not None:
        return choice.offer.name
    available = [
        {
            "name": offer.name,
            "media_types": list(offer.media_types),
            "url": request.path,
        }
        for offer in _OFFERS
    ]
    detail = "This is available as JSON and HTML; put one of them into Accept."
    raise NotAcceptableError(detail, available=available)


def _formats(registry: Registry, viewer: Viewer) -> list[AnyFormat]:
    """Return the formats that work here and that the token's scope covers."""
    return [
        row
        for row in registry.formats.values()
        if row.name not in registry.missing and SCOPES[row.document] in viewer.scopes
    ]


def _part(
    snapshot: Snapshot, asked: Mapping[str, Any]
) -> tuple[list[ExperimentSummary], str | None]:
    """Return the experiments that were asked for, and where to go on from them.

    Raises InvalidParameterError if the viewer cannot see the one to start after.
    """
    wanted = asked["search"].casefold()
    page = Page(
        # What is masked must not be found by searching for it.
        matches=lambda _, name: not wanted or wanted in redact_text(name).casefold(),
        order=asked["sort"],
        after=asked.get("after"),
        limit=asked["limit"] + 1,  # one more than shown tells whether there is a next
    )
    try:
        found = _shown(snapshot, page)
    except ExperimentNotFoundError as error:
        detail = "The experiment in 'after' no longer exists: start again without it."
        raise InvalidParameterError(detail, parameter="after") from error
    shown = found[: asked["limit"]]
    return shown, _next(asked, shown[-1].id) if len(found) > len(shown) else None


def _shown(snapshot: Snapshot, page: Page) -> list[ExperimentSummary]:
    return [
        replace(row, name=redact_text(row.name)) for row in snapshot.experiments(page)
    ]


def _next(asked: Mapping[str, Any], last: UUID) -> str:
    chosen = {
        name: asked[name]
        for name, default in (("search", ""), ("sort", "newest"))
        if asked[name] != default
    }
    query = urlencode({**chosen, "limit": asked["limit"], "after": str(last)})
    return f"{url_for('experiments.list')}?{query}"


def _address_of(snapshot: Snapshot, name: str) -> str:
    """Return the URL of the experiment of this name, or of the list of several.

    Raises ExperimentNotFoundError.
    """
    page = Page(matches=lambda _, other: other == name, limit=2)
    found = list(snapshot.experiments(page))
    if not found:
        raise ExperimentNotFoundError
    if len(found) > 1:
        return url_for("experiments.list", search=name)
    return url_for("experiments.one", reference=found[0].id)


def _described(
    row: ExperimentSummary, formats: Sequence[AnyFormat]
) -> dict[str, object]:
    return {**vars(row), "formats": _links(row, formats)}


def _links(row: ExperimentSummary, formats: Sequence[AnyFormat]) -> dict[str, str]:
    return {one.name: export_url(row.id, [(FORMAT, one.name)]) for one in formats}


def _json(schema: Schema, document: object) -> Response:
    return Response(schema.dumps(document), mimetype="application/json")


def _tagged(response: Response) -> Response:
    response.headers["Vary"] = "Accept"
    return delivery.with_etag(response)


def _go_to(address: str) -> Response:
    response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})
    del response.headers["Content-Type"]  # there is no body
    return response
