"""Names and values that stand side by side: `{name: X, value: Y}`, `[[X, Y]]`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from promptlooper_export.deadline import in_time
from promptlooper_export.redaction.names import names_secret, strength, words_of
from promptlooper_export.redaction.values import is_plain

_NAMES = frozenset(
    ("name", "key", "header", "field", "variable", "var", "setting", "option", "k",
     "param", "parameter", "env", "attribute", "property", "id", "n")
)  # fmt: skip
_VALUES = frozenset(("value", "val", "v", "content", "default", "values"))
_DESCRIBING = frozenset(
    ("type", "types", "mode", "method", "kind", "scheme", "provider", "enabled",
     "algorithm", "region", "version", "expires", "expiry", "ttl", "issuer", "audience",
     "scope", "scopes", "url", "uri", "endpoint", "name", "grant_type", "required")
)  # fmt: skip

_USERS = frozenset(("user", "username", "login", "email"))
"""Beside one of them, `pass` is no verb."""

WITHOUT_TEXT = frozenset({bool, int, float, type(None), UUID, datetime})

_SHORTEST = 8
_PAIR = 2


def describes(key: str) -> bool:
    """Return whether a key within a secret says something about it."""
    return key.lower() in _DESCRIBING


def is_value(key: str) -> bool:
    """Return whether a key says that its value belongs to a name beside it."""
    words = words_of(key)
    return bool(words) and words[-1] in _VALUES


def _is_name(key: str) -> bool:
    words = words_of(key)
    return bool(words) and words[-1] in _NAMES


def named_values(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a mapping whose values belong to a name in it."""
    if len(value) < _PAIR:
        return {}
    if not _USERS.isdisjoint(value) and "pass" in value:
        return {"pass": "password"}
    values = [key for key in in_time(value) if is_value(key)]
    if not values:
        return {}
    for key, name in value.items():
        if isinstance(name, str) and _is_name(key) and strength(name) != "none":
            return dict.fromkeys(values, name)
    return {}


def named_members(values: Sequence[Any]) -> dict[int, str]:
    """Return the places in a list that belong to a name before them."""
    found = {
        place + 1: name
        for place, (name, value) in in_time(enumerate(pairwise(values)))
        if isinstance(name, str)
        and isinstance(value, str)
        and names_secret(name)
        and _is_sure(value)
    }
    return {place: name for place, name in found.items() if place - 1 not in found}


def _is_sure(value: str) -> bool:
    """Return whether a text beside a name is its value, and not another name."""
    return (
        len(value) >= _SHORTEST
        and (" " in value or strength(value) == "none")
        and any(map(str.isdigit, value))
        and (" " in value or not is_plain(value))
    )
