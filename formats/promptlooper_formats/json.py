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
    if any("\ud800" <= character <= "\udfff" for character in text):
        # A lone surrogate has no form in UTF-8, but one as an escape.
        text = json.dumps(document, indent=2, allow_nan=False)
    yield f"{text}\n".encode()


JSON_FORMAT = Format(
    name="json",
    title="JSON",
    document=Best,
    media_types=("application/json",),
    extension="json",
    render=render,
)
