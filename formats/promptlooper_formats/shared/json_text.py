"""JSON as our formats write and read it: nothing repeated, nothing but JSON."""

import json
import math

from promptlooper_export.plugin import JSON


def write_json(value: object, *, indent: int | None = None) -> str:
    """Write a value as text that UTF-8 can hold; raises ValueError for NaN."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    # A lone surrogate has no form in UTF-8; Python's escape for it is JSON's, too.
    return text.encode(errors="backslashreplace").decode()


def read_json(data: bytes) -> JSON:
    """Decode JSON text; raises ValueError, saying where, for anything else.

    Refused are NaN and infinities, a number beyond a double, and a repeated key.
    """
    value: JSON = json.loads(
        data.decode("utf-8-sig"),
        object_pairs_hook=_distinct,
        parse_float=_finite,
        parse_constant=_finite,
    )
    return value


def _distinct(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(items)
    if len(value) < len(items):
        keys = [key for key, _ in items]
        repeated = next(key for key in keys if keys.count(key) > 1)
        msg = f"the key {repeated!r} is there twice"
        raise ValueError(msg)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = f"{text} is no number of JSON"
        raise ValueError(msg)
    return number
