"""The values that other tools hold, in the form in which records have them."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from marshmallow import ValidationError

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.fields import LARGEST, as_double, check_text

_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_RISKY = re.compile(r"\\u[dD]|[eE]\+?\d{3}|\d{300}")
"""Finds half a surrogate pair and numbers that are too large, and others as well."""

_CONSTANTS = json.JSONDecoder(parse_constant=str)
"""Reads NaN and infinities, which Python's writer puts in, as their names."""


class Config(NamedTuple):
    """A config as a run has it."""

    text: str
    hash: str


def config(values: Mapping[str, JSON], place: str) -> Config:
    """Return the config as JSON and its hash. Raises SourceError, naming the place."""
    text = strict_json(values, f"{place}: the config")
    return Config(text, hashlib.sha256(_CANONICAL.encode(values).encode()).hexdigest())


def strict_json(value: object, place: str) -> str:
    """Return the value as JSON that both databases hold.

    Raises SourceError for NaN, infinities and text that is not Unicode.
    """
    try:
        text = _STRICT.encode(value)
        text.encode()
    except ValueError as error:
        msg = f"{place}: cannot be written as JSON: {error}"
        raise SourceError(msg) from error
    return text


def read_json(text: object, place: str) -> JSON:
    """Read JSON that Python wrote; NaN and infinities become their names, as text.

    Raises SourceError for anything else, numbers beyond a double included.
    """
    given = str(text)
    try:
        value: JSON = _CONSTANTS.decode(given)
    except (ValueError, RecursionError) as error:
        msg = f"{place}: not valid JSON: {error}"
        raise SourceError(msg) from error
    if _RISKY.search(given):
        strict_json(value, place)
    return value


def text(value: object, place: str) -> str:
    """Return text that both databases hold. Raises SourceError for other values."""
    if not isinstance(value, str):
        msg = f"{place}: {value!r} is not text"
        raise SourceError(msg)
    try:
        check_text(value)
    except ValidationError as error:
        msg = f"{place}: {error.messages[0]}"
        raise SourceError(msg) from error
    return value


def number(value: object, place: str) -> float:
    """Return a score; NaN and infinities may be text, as `plain` returns them.

    Raises SourceError for what is not a number.
    """
    if type(value) is float:
        return value
    double = float(str(value)) if value in _NOT_FINITE else as_double(value)
    if double is None:
        msg = f"{place}: {value!r} is not a number"
        raise SourceError(msg)
    return double


def plain(double: float) -> JSON:
    """Return a number in strict JSON, which has only a text for NaN and infinities."""
    if math.isfinite(double):
        return double
    return "NaN" if math.isnan(double) else f"{'-' * (double < 0)}Infinity"


def whole(value: object) -> int | None:
    """Return a count of tokens; None for a value that is not one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else None


def cost(value: object) -> float | None:
    """Return a cost in USD; None for a value that is not a finite number."""
    double = as_double(value)
    return double if double is not None and math.isfinite(double) else None


def tagged(given: Mapping[str, JSON], tool: str, own: Mapping[str, JSON]) -> JSON:
    """Return what the author tagged a run with, and under the tool's name, its own."""
    kept = {name: value for name, value in own.items() if value or value in (None, 0)}
    if tool in given:
        kept["tags"] = {tool: given[tool]}
    return {**given, tool: kept}


def tags(
    given: Mapping[str, JSON], tool: str, own: Mapping[str, JSON], place: str
) -> JSON:
    """Return the same of values that were not read with `read_json`.

    Raises SourceError for what cannot be written.
    """
    found = tagged(given, tool, own)
    strict_json(found, f"{place}: a tag")
    return found


def description(attributes: Mapping[str, JSON], place: str) -> str | None:
    """Return what an experiment is tagged with, a line each; None if with nothing."""
    lines = (
        f"{name}: {value if isinstance(value, str) else strict_json(value, place)}"
        for name, value in attributes.items()
    )
    return text("\n".join(lines), place) or None


def moment(value: object, place: str) -> datetime | None:
    """Return a moment in UTC, which a time without an offset is taken as.

    Raises SourceError for what is no time.
    """
    if value is None:
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)  # type: ignore[arg-type]
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{place}: {value!r} is not a time"
        raise SourceError(msg) from error


def milliseconds(begin: datetime | None, end: datetime | None) -> int | None:
    """Return how long something took; None if unknown, or if it ended before it began.

    Clocks of several machines may disagree.
    """
    if begin is None or end is None or end < begin:
        return None
    taken = end - begin
    return taken.days * 86_400_000 + taken.seconds * 1000 + taken.microseconds // 1000
