"""The report as one HTML file that loads nothing and runs nothing."""

import json
from collections.abc import Iterator
from functools import cache, partial
from typing import TYPE_CHECKING

from promptlooper_export.plugin import JSON, Format, Notice, Report, timestamp
from promptlooper_formats.html.charts import histogram, history
from promptlooper_formats.shared.markdown_text import duration, number, visible

if TYPE_CHECKING:
    from jinja2 import Template


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the page whole: a report does not grow with its runs."""
    yield _template().render(report=report).encode()


@cache
def _template() -> "Template":
    """Load the template, whose every value is escaped; a missing one is an error."""
    from jinja2 import (
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    environment = Environment(
        loader=PackageLoader("promptlooper_formats.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration,
        histogram=histogram,
        history=history,
        moment=lambda value: timestamp(value.replace(microsecond=0)),
        number=number,
        pretty=_pretty,
        tojson_text=partial(json.dumps, ensure_ascii=False),
    )
    return environment.get_template("report.html")


def _visible(value: object) -> object:
    """Show control characters, and halves of surrogate pairs, as escapes."""
    return visible(value) if type(value) is str else value


def _pretty(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


HTML = Format(
    name="html",
    title="HTML report",
    document=Report,
    media_types=("text/html",),
    extension="html",
    render=render,
)
