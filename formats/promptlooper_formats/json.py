"""The best config as JSON (RFC 8259)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from promptlooper_export.plugin import JSON, Best, BestSchema, Format, Notice
from promptlooper_formats.json_text import read_json, write_json
from promptlooper_formats.notices import big_integers, lone_surrogates


def render(best: Best) -> Iterator[bytes | Notice]:
    """Yield the document as one indented JSON object."""
    notices = (*big_integers(best.config), *lone_surrogates(best.config))
    yield from notices
    document = BestSchema().dump(replace(best, warnings=(*best.warnings, *notices)))
    yield f"{write_json(document, indent=2)}\n".encode()


def read(data: bytes) -> Mapping[str, JSON]:
    """Return the config of our document, or the object that a file is by itself.

    Raises ValueError for what is no JSON object.
    """
    value = read_json(data)
    if not isinstance(value, dict):
        msg = "the file holds no object"
        raise ValueError(msg)  # noqa: TRY004  the file is wrong, not the type
    config = value.get("config")
    return config if isinstance(config, dict) and "run_id" in value else value


JSON_FORMAT = Format(
    name="json",
    title="JSON",
    document=Best,
    media_types=("application/json",),
    extension="json",
    render=render,
    read=read,
)
