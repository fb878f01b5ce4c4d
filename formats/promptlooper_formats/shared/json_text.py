"""JSON as our formats write and read it: nothing repeated, nothing but JSON."""

import json

from promptlooper_export.plugin import JSON, strict_json


def write_json(value: object, *, indent: int | None = None) -> str:
    """Write a value as text that UTF-8 can hold; raises ValueError for NaN."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    # A lone surrogate has no form in UTF-8; Python's escape for it is JSON's, too.
    return text.encode(errors="backslashreplace").decode()


def read_json(data: bytes) -> JSON:
    """Decode strict JSON in UTF-8, with or without a byte order mark.

    Raises ValueError, saying where, for anything else.
    """
    return strict_json(data.decode("utf-8-sig"))
