"""The report as one HTML file that loads nothing and runs nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from promptlooper_export.plugin import (
    JSON,
    Bin,
    Format,
    Notice,
    Period,
    Report,
    timestamp,
)
from promptlooper_formats.shared.markdown_text import duration, number, visible

if TYPE_CHECKING:
    from jinja2 import Template


_TOGETHER = 1_000
"""Parts of the page, each a value or the text between two, that make a piece."""

WIDTH = 600
HEIGHT = 160


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the page in pieces: it grows with the scorers and with the configs."""
    pieces = _template().stream(report=report)
    pieces.enable_buffering(_TOGETHER)
    for piece in pieces:
        yield piece.encode()


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
    # Not isinstance(): Markup is a str whose markup must stay.
    return visible(value) if type(value) is str else value


def _pretty(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of a histogram, from the top left."""

    x: float
    y: float
    width: float
    height: float
    bin: Bin


@dataclass(frozen=True, kw_only=True)
class Course:
    """Scores over time: the mean of each period, and the steps of the best so far."""

    means: tuple[tuple[float, float], ...]
    steps: str
    low: float
    high: float


def histogram(bins: Sequence[Bin]) -> list[Bar]:
    """Return a bar for each bin; one that is not empty can be seen."""
    highest = max((one.count for one in bins), default=0) or 1
    width = 100 / (len(bins) or 1)
    bars = []
    for place, one in enumerate(bins):
        # A single run must be visible beside a thousand.
        height = max(1, round(30 * one.count / highest, 2)) if one.count else 0
        bars.append(
            Bar(
                x=round(place * width, 2),
                y=30 - height,
                width=round(width * 0.9, 2),
                height=height,
                bin=one,
            )
        )
    return bars


def history(periods: Sequence[Period]) -> Course:
    """Return the course of the scores; equal ones are half way up."""
    scores = [score for row in periods for score in (row.mean, row.best_so_far)]
    low, high = min(scores), max(scores)
    step = WIDTH / len(periods)

    def y(score: float) -> float:
        share = (score - low) / (high - low) if high > low else 0.5
        return round(HEIGHT * (1 - share), 2)

    steps = [f"M0 {y(periods[0].best_so_far)}"]
    for place, row in enumerate(periods):
        steps.append(f"V{y(row.best_so_far)}H{round((place + 1) * step, 2)}")
    return Course(
        means=tuple(
            (round((place + 0.5) * step, 2), y(row.mean))
            for place, row in enumerate(periods)
        ),
        steps="".join(steps),
        low=low,
        high=high,
    )


HTML = Format(
    name="html",
    title="HTML report",
    document=Report,
    media_types=("text/html",),
    extension="html",
    render=render,
)
