"""What the service sends to a process of the sandbox: pickles, however deep.

Pickling calls itself twice for each level of nesting, and Python ends that at 1000
calls, before a config is as deep as one may be.
"""

import pickle
from collections.abc import Mapping
from dataclasses import is_dataclass
from itertools import chain
from typing import IO, Any


def pack(value: object) -> bytes:
    """Return what `unpack` makes the value from again."""
    try:
        return pickle.dumps(((), value))
    except RecursionError:  # tried first, since looking for containers takes longer
        # What was pickled before is only referred to: no container holds a new one.
        return pickle.dumps((_containers(value), value))


def unpack(source: IO[bytes]) -> Any:  # noqa: ANN401  anything can be packed
    """Read the next value that was packed.

    It runs whatever the sender likes: only for what the service has sent.
    """
    _, value = pickle.load(source)  # noqa: S301
    return value


def _containers(value: object) -> list[object]:
    """Return every object and list in a value, the innermost first."""
    found: list[object] = []
    level = [value]
    while level:
        found += (member for member in level if isinstance(member, dict | list))
        level = list(chain.from_iterable(map(_members, level)))
    return found[::-1]


def _members(value: object) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    return list(vars(value).values()) if is_dataclass(value) else []
