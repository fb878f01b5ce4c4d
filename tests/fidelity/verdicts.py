"""What a reader made of an export: identical, warned of, or different."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import copysign

from fidelity.readers import Failure
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Notice
from promptlooper_export.plugin import Path

Leaves = Mapping[tuple[str, ...], object]


FILE = "the whole file"
"""The place of a difference where a reader reads nothing."""


@dataclass
class Tally:
    """How many configs a reader read back, and in which way."""

    identical: int = 0
    warned: int = 0
    refused: int = 0
    different: list[str] = field(default_factory=list)


def leaves(
    value: object, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every scalar and every empty container with its path."""
    if isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from leaves(member, (*path, str(key)))
    elif isinstance(value, list) and value:
        for place, member in enumerate(value):
            yield from leaves(member, (*path, str(place)))
    else:
        yield path, value


def same(wanted: object, found: object, *, doubles: bool) -> bool:
    """Return whether values are equal; readers with only doubles have no integers."""
    if doubles and _is_number(wanted) and _is_number(found):
        # What such a reader has is a double, in whatever digits it was told.
        signs = [copysign(1, float(str(value))) for value in (wanted, found)]
        is_same = found == wanted or float(str(found)) == wanted
        return is_same and signs[0] == signs[1]
    return type(wanted) is type(found) and repr(wanted) == repr(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def differences(wanted: Leaves, found: object, *, doubles: bool) -> dict[str, str]:
    """Return what differs, by path: nothing for a faithful reader."""
    if isinstance(found, Failure):
        return {FILE: found.reason}
    read = dict(leaves(found))
    return {
        str(Path(path)): f"{wanted.get(path)!r:.80} read as {read.get(path)!r:.80}"
        for path in [*wanted, *(path for path in read if path not in wanted)]
        if path not in wanted
        or path not in read
        or not same(wanted[path], read[path], doubles=doubles)
    }


def variables_differ(
    wanted: Mapping[str, tuple[str, JSON]], found: object
) -> dict[str, str]:
    """Return what differs between a config's variables and what a reader read."""
    if not isinstance(found, dict):
        return {FILE: str(found)}
    differ = {
        name: f"made up: {found[name]!r:.80}" for name in found.keys() - wanted.keys()
    }
    for name, (path, value) in wanted.items():
        if not holds(found.get(name), value):
            differ[path] = f"{value!r:.80} read as {found.get(name)!r:.80}"
    return differ


def holds(text: str | None, value: JSON) -> bool:
    """Return whether a variable's text stands for the value."""
    if text is None:
        return False
    if value is None or isinstance(value, str):
        return text == (value or "")
    try:
        return repr(json.loads(text)) == repr(value)
    except ValueError:
        return False


def unexcused(
    differ: Mapping[str, str],
    notices: tuple[Notice, ...],
    *,
    excuses: frozenset[str],
    fatal: frozenset[str],
) -> dict[str, str]:
    """Leave out what a warning names by its path, for this reader.

    A reader that gives up a whole file is excused by a warning of a `fatal` kind.
    """
    if any(notice.code in fatal for notice in notices):
        return {}
    named = {notice.path for notice in notices if notice.code in excuses}
    return {path: what for path, what in differ.items() if not _is_under(path, named)}


def _is_under(path: str, named: set[str | None]) -> bool:
    """Return whether a warning names the path, what it is in, or what is in it."""
    return path in named or any(
        name is not None
        and (path == "" or path.startswith(f"{name}.") or name.startswith(f"{path}."))
        for name in named
    )
