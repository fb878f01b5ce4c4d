"""HTML pages with one style, and a policy that lets nothing else load or run."""

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from flask import Flask, Response, render_template
from jinja2 import StrictUndefined
from markupsafe import Markup

from promptlooper_export import __version__
from promptlooper_export.schemas import timestamp
from promptlooper_export.web.delivery import page_policy

TEMPLATES = "web/templates"
"""The folder of the templates, relative to the package."""

_UNITS = (
    (31_557_600, "year"),
    (2_629_800, "month"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)
"""Units of time by their length in seconds, the longest first."""

_TINY = 0.001
_LARGE = 10_000


def install(app: Flask) -> None:
    """Set up the templates; a missing value is an error, never empty text."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.filters |= {
        "ago": _ago,
        "marked": _marked,
        "moment": _moment,
        "score": _score,
        "timestamp": timestamp,
    }
    app.jinja_env.globals["version"] = __version__


def page(template: str, *, form_action: str = "'none'", **values: object) -> Response:
    """Render a page from a template that extends `base.html`.

    `form_action` says where its forms may be sent, as in the policy.
    """
    html = render_template(template, style=_style(), **values)
    policy = page_policy(_style(), form_action=form_action)
    headers = {"Content-Security-Policy": policy}
    return Response(html, mimetype="text/html", headers=headers)


@cache
def _style() -> str:
    path = files("promptlooper_export").joinpath(TEMPLATES, "style.css")
    return path.read_text(encoding="utf-8")


def _moment(moment: datetime) -> str:
    """Write a time as people do."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def _ago(moment: datetime) -> str:
    """Write how long ago a time was, in its largest unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for length, unit in _UNITS:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _score(value: float) -> str:
    """Write a score with four decimals, or four significant digits if it is tiny."""
    if 0 < abs(value) < _TINY:
        return f"{value:.4g}"
    return f"{value:,.4f}" if abs(value) < _LARGE else f"{value:,.0f}"


def _marked(text: str) -> Markup:
    """Escape a paragraph of a docstring, and turn backquotes into code elements."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )
