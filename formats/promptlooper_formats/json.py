"""The best config as JSON (RFC 8259)."""

import json
from collections.abc import Iterator
from dataclasses import replace

from promptlooper_export.plugin import Best, BestSchema, Format, Notice
from promptlooper_formats.notices import big_integers


def render(best: Best) -> Iterator[bytes | Notice]:
    """Yield the document as one indented JSON object."""
    notices = tuple(big_integers(best.config))
    yield from notices
    document = BestSchema().dump(replace(best, warnings=(*best.warnings, *notices)))
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # A lone surrogate has no form in UTF-8; Python's escape for it is JSON's, too.
    yield f"{text}\n".encode(errors="backslashreplace")


JSON_FORMAT = Format(
    name="json",
    title="JSON",
    document=Best,
    media_types=("application/json",),
    extension="json",
    render=render,
)
