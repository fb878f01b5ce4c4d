"""The best config as Java properties, as java.util.Properties.load() reads them."""

import json
import re
from collections.abc import Iterator

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from promptlooper_export.plugin import JSON, Best, Format, UnrepresentableError, flatten

_NAMED = {"\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}
_IN_KEYS = re.compile(r"[ =:#!\\\t\n\f\r]|[^ -~]")
_IN_VALUES = re.compile(r"\A |[\\\t\n\f\r]|[^ -~]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Options(Schema):
    """Options that a client may set."""

    encoding = fields.String(
        validate=OneOf(["ascii", "utf-8"]),
        load_default="ascii",
        metadata={"description": "utf-8 keeps the letters of all scripts readable."},
    )


def render(best: Best, encoding: str) -> Iterator[bytes]:
    """Yield a line for each leaf of the config.

    Raises UnrepresentableError if two paths would become one key, and for half a
    surrogate pair, which some readers reject.
    """
    places: dict[str, str] = {}
    for path, value in flatten(best.config):
        key = ".".join(path)
        if key in places:
            both = (places[key], str(path))
            detail = f"{' and '.join(both)} are both called {key}; choose format=json."
            raise UnrepresentableError(detail, paths=both)
        places[key] = str(path)
        if _SURROGATE.search(key + text(value)):
            detail = f"{path} has half a surrogate pair; choose format=json."
            raise UnrepresentableError(detail, paths=(str(path),))
        name = _escaped(_IN_KEYS, key, encoding)
        yield f"{name}={_escaped(_IN_VALUES, text(value), encoding)}\n".encode()


def text(value: JSON) -> str:
    """Write a value as text: null is empty, and all but text is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _escaped(pattern: re.Pattern[str], plain: str, encoding: str) -> str:
    def escape(match: re.Match[str]) -> str:
        character = match[0]
        if character in _NAMED:
            return _NAMED[character]
        if character.isascii() and character.isprintable():
            return f"\\{character}"
        if encoding == "utf-8" and not _CONTROL.match(character):
            return character
        units = character.encode("utf-16-be").hex()  # Java escapes UTF-16 code units
        return "".join(rf"\u{units[i : i + 4]}" for i in range(0, len(units), 4))

    return pattern.sub(escape, plain)


PROPERTIES = Format(
    name="properties",
    title="Java properties",
    document=Best,
    media_types=("text/x-java-properties",),
    extension="properties",
    options=Options,
    render=render,
)
