"""The best config as JSON (RFC 8259)."""

from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import JSON, Best, Format, Notice
from promptlooper_formats.shared.best_document import BestOptions, config_in, members
from promptlooper_formats.shared.json_text import read_json, write_json
from promptlooper_formats.shared.notices import big_integers, lone_surrogates


def render(best: Best, *, only: str | None = None) -> Iterator[bytes | Notice]:
    """Yield the document, or only the config, as one indented JSON object."""
    notices = (*big_integers(best.config), *lone_surrogates(best.config))
    yield from notices
    yield f"{write_json(members(best, only, notices), indent=2)}\n".encode()


def read(data: bytes, *, only: str | None = None) -> Mapping[str, JSON]:  # noqa: ARG001  the file shows it
    """Return the config of a whole document, or of a file that is the config alone.

    Raises ValueError for anything but a JSON object.
    """
    return config_in(read_json(data))


JSON_FORMAT = Format(
    name="json",
    title="JSON",
    document=Best,
    media_types=("application/json",),
    extension="json",
    options=BestOptions,
    render=render,
    read=read,
)
