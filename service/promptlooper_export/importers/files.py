"""Files of other tools that hold one JSON document, and how any file begins."""

from collections.abc import Mapping
from pathlib import Path

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.values import read_json

LARGEST_DOCUMENT = 1 << 30
"""The largest JSON document that is read, in bytes; it takes up to 8 times that."""

_HEAD = 1 << 16


def beginning(source: str) -> bytes:
    """Return the first 64 KiB of a file; nothing for what is not a file."""
    path = Path(source)
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_HEAD)


def read_document(source: str) -> dict[str, JSON]:
    """Read a file that holds one JSON object. Raises SourceError."""
    path = Path(source)
    try:
        size = path.stat().st_size
        data = b"" if size > LARGEST_DOCUMENT else path.read_bytes()
    except OSError as error:
        msg = f"{source}: {error.strerror}"
        raise SourceError(msg) from error
    if size > LARGEST_DOCUMENT:
        msg = f"{source}: a JSON document of more than {LARGEST_DOCUMENT} bytes"
        raise SourceError(msg)
    return read_object(data, source)


def read_object(data: bytes, place: str) -> dict[str, JSON]:
    """Read one JSON object; NaN and infinities become text. Raises SourceError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{place}: not UTF-8 (byte {error.start + 1})"
        raise SourceError(msg) from error
    value = read_json(text, place)
    if not isinstance(value, dict):
        msg = f"{place}: must be a JSON object"
        raise SourceError(msg)
    return value


def part(held: Mapping[str, JSON], name: str, place: str) -> dict[str, JSON]:
    """Return a member that is an object; an empty one if it is absent or null.

    Raises SourceError for any other value.
    """
    value = held.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        msg = f"{place}: {name}: must be an object"
        raise SourceError(msg)
    return value


def parts(held: Mapping[str, JSON], name: str, place: str) -> list[dict[str, JSON]]:
    """Return a member that is a list of objects; no other is accepted.

    Raises SourceError.
    """
    value = held.get(name)
    if not isinstance(value, list):
        msg = f"{place}: {name}: must be a list"
        raise SourceError(msg)
    found = [item for item in value if isinstance(item, dict)]
    if len(found) < len(value):
        msg = f"{place}: {name}: must hold objects only"
        raise SourceError(msg)
    return found
