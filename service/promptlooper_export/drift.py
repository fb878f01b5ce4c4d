"""What differs between two configs, value by value."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from promptlooper_export.documents import JSON
from promptlooper_export.plugin import flatten

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A value that one of two configs has, or that is another one there.

    `old` is None where it was added, `new` where it was removed.
    """

    path: str
    kind: Kind
    old: JSON
    new: JSON


def changes(old: Mapping[str, JSON], new: Mapping[str, JSON]) -> Iterator[Change]:
    """Yield what leads from one config to the other, by path.

    A list is one value. Numbers are the same where they are equal, 1 and 1.0 for one,
    as JSON has it; a number, a truth value and text are never the same.
    """
    before = {str(path): value for path, value in flatten(old)}
    after = {str(path): value for path, value in flatten(new)}
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield Change(path=path, kind="removed", old=before[path], new=None)
        elif path not in before:
            yield Change(path=path, kind="added", old=None, new=after[path])
        elif _canonical(before[path]) != _canonical(after[path]):
            yield Change(path=path, kind="changed", old=before[path], new=after[path])


def _canonical(value: JSON) -> str:
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: JSON) -> JSON:
    """Return whole numbers as integers: no other difference is lost by it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return list(map(_whole, value))
    if isinstance(value, dict):
        return {key: _whole(member) for key, member in value.items()}
    return value
