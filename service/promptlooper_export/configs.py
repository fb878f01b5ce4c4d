"""Configs: JSON that is read strictly and walked leaf by leaf."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
"""A decoded JSON value; its floats are finite."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

_SEGMENT = re.compile(r'"((?:\\.|[^"\\])*)"(?:\.|\Z)|([^.]*)(?:\.|\Z)', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')

_SHORT = 100
"""Characters of a key that is remembered as it is written in a path."""


class Path(tuple[str, ...]):
    """The place of a value in a config: the keys and list indexes from the top."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Path":
        """Return the path that str() writes as this text; any text is a path."""
        # The pattern also matches the empty end of the text.
        found = (key for key in _SEGMENT.finditer(text) if key.start() < len(text))
        return cls(
            plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
            for quoted, plain in (key.groups() for key in found)
        )

    def __str__(self) -> str:
        """Join the keys with dots; a key with other characters is quoted."""
        return ".".join(
            key if _PLAIN_KEY.fullmatch(key) else f'"{_escape(key)}"' for key in self
        )


ROOT = Path()
"""The path of the config itself."""


def _escape(key: str) -> str:
    # Backslashes as well: a key that ends in one would escape its own closing quote.
    return key.replace("\\", "\\\\").replace('"', '\\"')


def leaves(config: Mapping[str, JSON], parent: str = "") -> Iterator[tuple[str, JSON]]:
    """Yield the same as flatten, with paths as text, in a fifth of the time."""
    for key, value in config.items():
        path = f"{parent}{_segment(key) if len(key) <= _SHORT else Path((key,))}"
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def leaf_columns(
    configs: Iterable[tuple[int, Mapping[str, JSON]]], parent: str = ""
) -> Iterator[tuple[str, Sequence[int], Sequence[JSON]]]:
    """Yield what `leaves` yields of many configs, each with its place, by path.

    With a path come the places that have it, and their values. A path may come again
    with other places.
    """
    # Configs mostly have the same keys: those that do are turned into columns at once.
    alike: dict[tuple[str, ...], list[tuple[int, Mapping[str, JSON]]]] = {}
    for place, value in configs:
        alike.setdefault(tuple(value), []).append((place, value))
    for keys, group in alike.items():
        places = [place for place, _ in group]
        columns = zip(*(value.values() for _, value in group), strict=True)
        for key, column in zip(keys, columns, strict=True):
            path = f"{parent}{Path((key,))}"
            if dict not in set(map(type, column)):
                yield path, places, column
                continue
            cells = [*zip(places, column, strict=True)]
            nested = [
                (place, cell)
                for place, cell in cells
                if isinstance(cell, dict) and cell
            ]
            yield from leaf_columns(nested, f"{path}.")
            inner = {place for place, _ in nested}
            others = [cell for cell in cells if cell[0] not in inner]
            if others:
                yield path, [one for one, _ in others], [cell for _, cell in others]


# A long key is not kept: the cache would hold megabytes for good.
@lru_cache(maxsize=10_000)
def _segment(key: str) -> str:
    return str(Path((key,)))


def flatten(
    config: Mapping[str, JSON], parent: Path = ROOT
) -> Iterator[tuple[Path, JSON]]:
    """Yield every leaf of a config with its path, in the order of the config.

    A leaf is anything but a non-empty object: lists and empty objects are leaves.
    """
    for key, value in config.items():
        path = Path((*parent, key))
        if isinstance(value, dict) and value:
            yield from flatten(value, path)
        else:
            yield path, value


def strict_json(text: str) -> JSON:
    """Decode JSON text (RFC 8259).

    Raises ValueError, which says where, for anything else: also for NaN and infinities,
    a number beyond a double, and an object that repeats a key.
    """
    value: JSON = _STRICT.decode(text)
    return value


_TEXT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def json_text(value: object) -> str:
    """Write a value as JSON on one line, with a space after each comma and colon.

    Half a surrogate pair stays as it is, which UTF-8 cannot hold. Raises ValueError for
    NaN and infinities.
    """
    return _TEXT.encode(value)


def strict_value(text: str, start: int) -> tuple[JSON, int]:
    """Decode the JSON value that begins at `start`; return it and where it ends.

    Raises ValueError as strict_json does, but accepts an object that repeats a key:
    the last value counts.
    """
    value: JSON
    value, end = _STRICT_BUT_FOR_KEYS.raw_decode(text, start)
    return value, end


def repeated(keys: Iterable[str]) -> list[str]:
    """Return the keys that an object has more than once, in alphabetical order."""
    return sorted(key for key, times in Counter(keys).items() if times > 1)


def _distinct(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(items)
    if len(value) < len(items):
        msg = f"the key {repeated(key for key, _ in items)[0]!r} is there twice"
        raise ValueError(msg)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = f"{text} is beyond the range of a double"
        raise ValueError(msg)
    return number


def _refuse(constant: str) -> float:
    msg = f"{constant} is not a JSON value"
    raise ValueError(msg)


# The hooks make both strict, at a fraction of the cost of checking values afterwards.
_STRICT_BUT_FOR_KEYS = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
_STRICT = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_refuse
)
