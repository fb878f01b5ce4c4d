"""A page for each kind of problem: what it means and what to do."""

import inspect
from base64 import b64encode
from hashlib import sha256

from flask import Blueprint, Response
from markupsafe import Markup

from promptlooper_export.errors import ExportError, NotFoundError

KINDS = {
    kind.slug: kind for kind in ExportError.__subclasses__() if "status" in vars(kind)
}
"""The refusals that can be an answer over HTTP, by slug."""

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto;"
    "padding:0 1rem}"
    "code{font-family:ui-monospace,monospace}"
)
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
_PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    "<style>{style}</style></head><body><h1>{title}</h1>"
    "<p>Status {status}, <code>/problems/{slug}</code></p>"
    "<h2>What it means</h2><p>{meaning}</p><h2>What to do</h2><p>{remedy}</p>"
    "</body></html>\n"
)


def blueprint() -> Blueprint:
    """Route `/problems/<slug>`; no token needed."""
    routes = Blueprint("problems", __name__)
    routes.add_url_rule("/problems/<slug>", view_func=page, endpoint="page")
    return routes


def page(slug: str) -> Response:
    """Answer with the page of one kind of problem."""
    if slug not in KINDS:
        detail = f"There is no such kind of problem; there are {', '.join(KINDS)}."
        raise NotFoundError(detail, available=list(KINDS))
    kind = KINDS[slug]
    meaning, _, remedy = (inspect.getdoc(kind) or "").partition("\n\n")
    html = _PAGE.format(
        title=kind.title,
        style=Markup(_STYLE),  # noqa: S704  a constant of this module
        status=kind.status,
        slug=kind.slug,
        meaning=_marked(meaning),
        remedy=_marked(remedy),
    )
    return Response(
        html, mimetype="text/html", headers={"Content-Security-Policy": _POLICY}
    )


def _marked(text: str) -> Markup:
    """Escape a paragraph of a docstring and mark what stands in backquotes as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )
