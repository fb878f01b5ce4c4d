"""The report as Markdown (CommonMark with the tables of GitHub)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from marshmallow import Schema, fields
from marshmallow.validate import Range

from promptlooper_export.plugin import Format, Notice, Report
from promptlooper_formats.markdown import answer, course, reasons, sources, winner
from promptlooper_formats.markdown.budget import LEAST, Part, fit
from promptlooper_formats.markdown.text import escaped, shortened

_SHORTEST_NAME = 32
"""Bytes of a name in the title and the verdict if these have no room in full."""


class MarkdownOptions(Schema):
    """The options of the format."""

    max_bytes = fields.Integer(
        load_default=None,
        validate=Range(min=LEAST, error="Must be a whole number from {min}."),
        metadata={
            "description": "The most bytes the report may have, such as 65536 for a "
            "comment on GitHub or 1048576 for a step summary. Sections for which "
            "there is no room, the least important first, are named at its end"
        },
    )


@dataclass(frozen=True)
class _Section:
    """A part of the report; `importance` 1 is the last to be left out."""

    importance: int
    name: str
    blocks: Callable[[Report], Iterator[str]]


_DETAIL = "Best Configuration Detail"
_CONFIG = "the config as JSON"

_SECTIONS = (
    _Section(1, "the advice", answer.advice),
    _Section(2, "what the data say", answer.evidence),
    _Section(3, "the totals", answer.usage),
    _Section(4, "the description", answer.about),
    _Section(5, "Warnings", answer.warnings),
    _Section(6, "Against Another Experiment", answer.against),
    _Section(24, "Configuration Space", sources.space),
    _Section(13, "Run Summary", sources.counts),
    _Section(9, "Top {top_n} Configurations", winner.top),
    _Section(7, _DETAIL, winner.detail),
    _Section(10, _CONFIG, winner.config),
    _Section(12, "Prompts", winner.prompts),
    _Section(8, "What It Does Differently", winner.differences),
    _Section(18, "The Next Best Configs", winner.rivals),
    _Section(17, "Score Over Time", course.history),
    _Section(16, "All Scores", course.all_scores),
    _Section(11, "Winner Against Runner-up by Case", course.cases),
    _Section(19, "Trade-offs", course.trade_offs),
    _Section(15, "Why It Won", reasons.parameters),
    _Section(14, "Failures", reasons.failures),
    _Section(20, "Score Distributions", reasons.distributions),
    _Section(21, "Missing Scores", reasons.coverage),
    _Section(25, "Token Usage", sources.tokens),
    _Section(26, "Timing", sources.timing),
    _Section(27, "Cost", sources.cost),
    _Section(22, "How It Was Chosen", sources.chosen),
    _Section(23, "Weights That Would Change It", sources.sensitivity),
    _Section(28, "Where It Comes From", sources.provenance),
)

# These have no heading of their own: they go on where another part ends.
_WITHOUT_HEADING = frozenset(
    {
        "the advice",
        "what the data say",
        "the totals",
        "the description",
        _CONFIG,
    }
)


def render(report: Report, *, max_bytes: int | None = None) -> Iterator[bytes | Notice]:
    """Yield the title and the verdict, then a section for each part of the report."""
    headline = answer.headline(report, escaped)
    if max_bytes is None:
        yield f"{headline}\n".encode()
        for part in _parts(report):
            yield f"\n{part.text}\n".encode()
    else:
        brief = answer.headline(report, partial(shortened, room=_SHORTEST_NAME))
        yield fit((headline, brief), list(_parts(report)), max_bytes).encode()


def _parts(report: Report) -> Iterator[Part]:
    """Yield the parts that have something to say."""
    for section in _SECTIONS:
        blocks = list(section.blocks(report))
        if not blocks:
            continue
        name = section.name.format(top_n=report.top_n)
        if section.name not in _WITHOUT_HEADING:
            blocks.insert(0, f"## {name}")
        yield Part(
            name=name,
            importance=section.importance,
            belongs_to=_DETAIL if section.name == _CONFIG else None,
            text="\n\n".join(blocks),
        )


MARKDOWN = Format(
    name="markdown",
    title="Markdown report",
    document=Report,
    media_types=("text/markdown",),
    extension="md",
    options=MarkdownOptions,
    render=render,
)
