"""The report as one HTML file that loads nothing and runs nothing."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from markupsafe import Markup
from marshmallow import Schema, fields

from promptlooper_export.plugin import (
    JSON,
    Format,
    Notice,
    Report,
)
from promptlooper_formats.html import charts, page
from promptlooper_formats.shared import quantities, selection, sentences
from promptlooper_formats.shared.text import visible, write_json

if TYPE_CHECKING:
    from jinja2 import Template


_TOGETHER = 1_000
"""Parts of the page, each a value or the text between two, that make a piece."""


class HtmlOptions(Schema):
    """The options of the format."""

    links = fields.Boolean(
        load_default=False,
        metadata={
            "description": "1: link to the downloads and to the list of experiments, "
            "for a page that the service serves"
        },
    )


def render(report: Report, *, links: bool = False) -> Iterator[bytes | Notice]:
    """Yield the page in pieces: it grows with the scorers and with the configs."""
    pieces = _template().stream(report=report, links=links)
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
    environment.filters.update(_FILTERS)
    return environment.get_template("report.html")


def _visible(value: object) -> object:
    """Show control characters, and halves of surrogate pairs, as escapes."""
    # Not isinstance(): Markup is a str whose markup must stay.
    return visible(value) if type(value) is str else value


def _pretty(value: JSON) -> str:
    return write_json(value, indent=2)


def _data(value: float | None, text: str | None = None) -> Markup:
    """Return a number as people read it, and in full for programs."""
    if value is None:
        return Markup()
    shown = quantities.number(value) if text is None else text
    return Markup('<data value="{}">{}</data>').format(json.dumps(value), shown)


def _signed(value: float) -> Markup:
    return _data(value, quantities.signed(value))


def _weight(value: float | None) -> Markup:
    """Return a number that a person chose, with the digits that they gave."""
    return Markup() if value is None else _data(value, quantities.weight(value))


def _probability(value: float) -> Markup:
    return _data(value, quantities.probability(value))


def _column(values: Sequence[float | None]) -> list[Markup]:
    return list(map(_data, values, quantities.column(values)))


@dataclass(frozen=True, kw_only=True)
class TopColumns:
    """The numbers of the best runs, each column with its own precision."""

    score: list[Markup]
    cost: list[Markup]
    scores: Mapping[str, list[Markup]]
    has_cost: bool
    has_duration: bool
    has_tokens: bool


def _top_columns(report: Report, scorers: Sequence[str]) -> TopColumns:
    runs = report.top
    return TopColumns(
        score=_column([run.weighted_score for run in runs]),
        cost=_column([run.cost_usd for run in runs]),
        scores={
            name: _column([run.scores.get(name) for run in runs]) for name in scorers
        },
        has_cost=any(run.cost_usd is not None for run in runs),
        has_duration=any(run.duration_ms is not None for run in runs),
        has_tokens=any(
            number is not None
            for run in runs
            for number in (run.tokens_in, run.tokens_out)
        ),
    )


_FILTERS: Mapping[str, Callable[..., object]] = {
    "advice": sentences.advice,
    "brief": selection.brief,
    "by_case_sentence": sentences.by_case,
    "case_spots": charts.case_spots,
    "contrasts": sentences.contrasts,
    "cheaper": sentences.cheaper,
    "changed_texts": selection.changed_texts,
    "chosen": sentences.chosen,
    "column": _column,
    "counted": quantities.counted,
    "cut": selection.cut,
    "data": _data,
    "deviating_texts": selection.deviating_texts,
    "differing": selection.differing,
    "distribution_chart": charts.distribution,
    "distribution_sentence": sentences.distribution,
    "duration": quantities.duration,
    "files": page.files,
    "front_chart_sentence": sentences.front_chart,
    "front_sentence": sentences.front,
    "gaps": sentences.gaps,
    "history_chart": charts.history,
    "history_sentence": sentences.history,
    "left_out_reason": sentences.LEFT_OUT.__getitem__,
    "listed": quantities.listed,
    "luck": sentences.luck,
    "margin": sentences.margin,
    "moment": quantities.moment,
    "number": quantities.number,
    "parameters_sentence": sentences.parameters,
    "parallel": charts.parallel,
    "percent": quantities.percent,
    "pretty": _pretty,
    "probability": _probability,
    "redactions": sentences.redactions,
    "retry": sentences.RETRIES.__getitem__,
    "runner_up_verdict": sentences.runner_up_verdict,
    "score_table": selection.score_table,
    "settings": selection.settings,
    "signed": _signed,
    "small_bars": charts.small_bars,
    "spans": charts.spans,
    "still_running": sentences.still_running,
    "told_apart": sentences.told_apart,
    "tojson_text": partial(json.dumps, ensure_ascii=False),
    "top_columns": _top_columns,
    "runner_up": sentences.runner_up,
    "trade_off_chart": charts.trade_off,
    "weight": _weight,
    "verdict": sentences.VERDICTS.__getitem__,
}
"""What the templates call: charts, sentences, and values as people read them."""

HTML = Format(
    name="html",
    title="HTML report",
    document=Report,
    media_types=("text/html",),
    extension="html",
    options=HtmlOptions,
    render=render,
)
