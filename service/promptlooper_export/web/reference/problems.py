"""A page for each kind of problem: what it means and what to do."""

import inspect

from flask import Blueprint, Response

from promptlooper_export.errors import ExportError, NotFoundError
from promptlooper_export.web import pages

_PARENTS: list[type[ExportError]] = [ExportError, *ExportError.__subclasses__()]

KINDS = {
    kind.slug: kind
    for parent in _PARENTS
    for kind in parent.__subclasses__()
    if "status" in vars(kind)
}
"""The errors that can be an answer over HTTP, by slug."""


def blueprint() -> Blueprint:
    """Route `/problems/<slug>`; no token needed."""
    routes = Blueprint("problems", __name__)
    routes.add_url_rule("/problems/<slug>", view_func=page, endpoint="page")
    return routes


def page(slug: str) -> Response:
    """Return the page of one kind of problem."""
    if slug not in KINDS:
        detail = f"There is no such kind of problem; available: {', '.join(KINDS)}."
        raise NotFoundError(detail, available=list(KINDS))
    meaning, remedy = explanation(KINDS[slug])
    return pages.page(
        "problem.html",
        kind=KINDS[slug],
        kinds=KINDS.values(),
        meaning=meaning,
        remedy=remedy,
    )


def explanation(kind: type[ExportError]) -> tuple[str, str]:
    """Return what a kind of problem means and what to do, from its docstring."""
    meaning, _, remedy = (inspect.getdoc(kind) or "").partition("\n\n")
    return meaning, remedy
