"""Text: JSON, comments at the top of a file, what is not visible, lines in pieces."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from promptlooper_export.plugin import (
    JSON,
    Best,
    Notice,
    in_time,
    strict_json,
    timestamp,
)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def header(best: Best) -> Iterator[str]:
    """Yield the lines of the classic header, then one for each warning."""
    yield f"# PromptLooper \u2014 Best config for: {harmless(best.experiment_name)}"
    yield f"# Exported: {timestamp(best.exported_at)}"
    yield f"# Weighted score: {best.weighted_score:.4f}"
    yield f"# Run ID: {best.run_id}"
    for notice in best.warnings:
        yield warning(notice)


def warning(notice: Notice) -> str:
    """Return a notice as a comment."""
    return f"# Warning: {harmless(str(notice))}"


def harmless(text: str) -> str:
    """Return text that stays in its comment, whoever reads it.

    Some readers also end a line at CR, U+0085, U+2028 or U+2029, and systemd continues
    a comment that ends with a backslash. So what is not printable is written as an
    escape, and a backslash as two.
    """
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def visible(text: str) -> str:
    """Write line breaks as LF and control characters as escapes.

    Renderers replace both the characters and entities for them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_CHARACTERS = 1 << 16


def together(
    lines: Iterable[str | Notice], encode: Callable[[str], bytes] = str.encode
) -> Iterator[bytes | Notice]:
    """Yield the lines in pieces of at least 64 KiB, the notices as they come."""
    waiting: list[str] = []
    size = 0
    for line in lines:
        if isinstance(line, Notice):
            yield line
            continue
        waiting.append(line)
        size += len(line)
        if size >= _CHARACTERS:
            yield encode("".join(waiting))
            waiting.clear()
            size = 0
    yield encode("".join(waiting))


def write_json(value: object, *, indent: int | None = None) -> str:
    """Write a value as text that UTF-8 can hold; raises ValueError for NaN."""
    encoder = json.JSONEncoder(indent=indent, ensure_ascii=False, allow_nan=False)
    if indent is None:
        return encodable(encoder.encode(value))
    # With an indent, Python encodes, piece by piece.
    return encodable("".join(in_time(encoder.iterencode(value))))


# JSON escapes line breaks within text.
_ON_LINES = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=("\n", ": ")
)


def json_texts(values: Sequence[str | float | bool | None]) -> list[str]:
    """Write each value as JSON; faster than one by one. Raises ValueError for NaN."""
    return _ON_LINES.encode(list(values))[1:-1].split("\n") if values else []


def encodable(json: str) -> str:
    """Return JSON that UTF-8 can hold."""
    if json.isascii():
        return json
    # UTF-8 has no form for a lone surrogate; Python's escape for it is also JSON's.
    return json.encode(errors="backslashreplace").decode()


def read_json(data: bytes) -> JSON:
    """Decode strict JSON in UTF-8, with or without a byte order mark.

    Raises ValueError, saying where, for anything else.
    """
    return strict_json(data.decode("utf-8-sig"))
