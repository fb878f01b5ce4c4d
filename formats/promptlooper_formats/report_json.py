"""The report as JSON (RFC 8259): the numbers behind the pages."""

import json
from collections.abc import Iterator

from promptlooper_export.plugin import Format, Notice, Report, ReportSchema


def render(report: Report) -> Iterator[bytes | Notice]:
    """Yield the document as one indented JSON object."""
    document = ReportSchema().dump(report)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # A lone surrogate has no form in UTF-8; Python's escape for it is JSON's, too.
    yield f"{text}\n".encode(errors="backslashreplace")


REPORT_JSON = Format(
    name="report-json",
    title="Report as JSON",
    document=Report,
    media_types=("application/vnd.promptlooper.report+json",),
    extension="report.json",
    render=render,
)
