"""The report as JSON (RFC 8259): the numbers behind the pages."""

from collections.abc import Iterator

from promptlooper_export.plugin import Format, Notice, Report, ReportSchema
from promptlooper_formats.shared.json_text import write_json


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the document as one indented JSON object."""
    document = ReportSchema().dump(report)
    yield f"{write_json(document, indent=2)}\n".encode()


REPORT_JSON = Format(
    name="report-json",
    title="Report as JSON",
    document=Report,
    media_types=("application/vnd.promptlooper.report+json",),
    extension="report.json",
    render=render,
)
