"""The best config and the report as JSON (RFC 8259)."""

from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import JSON, Best, Format, Notice, Report, ReportSchema
from promptlooper_formats.shared.best_document import BestOptions, config_in, members
from promptlooper_formats.shared.notices import big_integers, lone_surrogates
from promptlooper_formats.shared.text import read_json, write_json


def render_best(best: Best, *, only: str | None = None) -> Iterator[bytes | Notice]:
    """Yield the document, or only the config, as one indented JSON object."""
    # JSON holds both exactly; the notices are about readers that do not.
    notices = (*big_integers(best.config), *lone_surrogates(best.config))
    yield from notices
    yield f"{write_json(members(best, only, notices), indent=2)}\n".encode()


def read(data: bytes, *, only: str | None = None) -> Mapping[str, JSON]:
    """Return the config of a whole document, or of a file that is the config alone.

    With `only=config`, the file is the config alone, whatever it holds.

    Raises ValueError for anything but a JSON object.
    """
    return config_in(read_json(data), only)


JSON_FORMAT = Format(
    name="json",
    title="JSON",
    document=Best,
    media_types=("application/json",),
    extension="json",
    options=BestOptions,
    render=render_best,
    read=read,
)


def render_report(report: Report) -> Iterator[bytes | Notice]:
    """Yield the whole report as one indented JSON object."""
    document = ReportSchema().dump(report)
    yield f"{write_json(document, indent=2)}\n".encode()


REPORT_JSON = Format(
    name="report-json",
    title="Report as JSON",
    document=Report,
    media_types=("application/vnd.promptlooper.report+json",),
    extension="report.json",
    render=render_report,
    needs_decision=True,
)
