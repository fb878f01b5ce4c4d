"""Show problems to people: a page, if Accept prefers HTML to a problem document."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask, Response, request, url_for
from werkzeug.exceptions import HTTPException

from promptlooper_export.errors import (
    ExperimentNotFoundError,
    NothingToExportError,
    ProblemError,
)
from promptlooper_export.redaction import redact_text
from promptlooper_export.web import pages, problems
from promptlooper_export.web.delivery import report_url
from promptlooper_export.web.parameters import read_id

_BODY = {"Content-Type", "Content-Length"}
_TITLES = {
    "parameter": "Parameter",
    "allowed": "Allowed",
    "available": "Available",
    "format": "Format",
    "install": "Install it with",
    "scope": "Scope needed",
    "run": "Run",
    "paths": "Paths",
    "malformed": "Malformed",
}
"""The members of a problem that say what to do, by what the page calls them."""


def install(app: Flask) -> None:
    """Answer every exception of the application with a problem document or a page."""
    for kind in (ProblemError, HTTPException, Exception):
        app.register_error_handler(kind, _answer)


def _answer(error: Exception) -> Response:
    response = problems.answer(error)
    response.vary.add("Accept")
    if not problems.prefers_page():
        return response
    document: dict[str, Any] = response.get_json()
    kind = problems.PROBLEMS.get(document["type"].rpartition("/")[2])
    page = pages.page(
        "refusal.html",
        problem=document,
        remedy=problems.explanation(kind)[1] if kind else "",
        facts=list(_facts(document)),
        links=list(_links(kind, response)),
    )
    page.status_code = response.status_code
    for name, value in response.headers:
        if name not in _BODY:
            page.headers[name] = value
    return page


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, title in _TITLES.items():
        # The links say which values are allowed.
        if name in document and not (name == "allowed" and "available" in document):
            yield title, document[name]


def _links(
    kind: type[ProblemError] | None, response: Response
) -> Iterator[tuple[str, str]]:
    """Yield where to go from here, the most useful first."""
    if "Retry-After" in response.headers and request.method in {"GET", "HEAD"}:
        # A token that somebody put into the query must not be repeated.
        asked = redact_text(request.full_path.rstrip("?"))
        yield "Try again", f"{request.script_root}{asked}"
    experiment = read_id((request.view_args or {}).get("experiment", ""))
    if experiment is not None and kind is not ExperimentNotFoundError:
        if kind is NothingToExportError:
            yield "The report", report_url(experiment)
        yield "The experiment", url_for("experiments.one", reference=experiment)
    yield "All experiments", url_for("experiments.list")
    if kind is not None:
        yield (
            "About this problem",
            url_for("description.problem", slug=kind.slug),
        )
