"""Names and values that stand side by side: `{name: X, value: Y}`, `[[X, Y]]`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from promptlooper_export.redaction.names import names_secret, strength, words_of
from promptlooper_export.redaction.values import hide, is_plain

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


def is_pair(value: Mapping[str, Any]) -> bool:
    """Return whether a mapping is a name and a value, and the name one of a secret."""
    return bool(named_values(value))


def named_values(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a mapping whose values belong to a name in it."""
    if len(value) < _PAIR:
        return {}
    if not _USERS.isdisjoint(value) and "pass" in value:
        return {"pass": "password"}
    values = [key for key in value if is_value(key)]
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
        for place, (name, value) in enumerate(pairwise(values))
        if isinstance(name, str)
        and isinstance(value, str)
        and names_secret(name)
        and _is_sure(value)
    }
    return {place: name for place, name in found.items() if place - 1 not in found}


def may_be_in(values: Sequence[object]) -> bool:
    """Return whether neighbours in a list may be a name and a secret."""
    return any(
        type(value) is str and (value[:1] == "-" or strength(value) != "none")
        for value in values
    )


def hides(value: Mapping[str, Any]) -> bool:
    """Return whether a value in a mapping is a secret because of a name."""
    if named_values(value):
        return True
    for key, member in value.items():
        if (sure := strength(key)) == "none":
            continue
        if type(member) is str:
            if hide(member, sure, key) != member:
                return True
        elif sure != "weak" and type(member) not in WITHOUT_TEXT:
            return True
    return False


def is_innocent(key: str) -> bool:
    """Return whether nothing beside a key is a secret because of it."""
    return strength(key) == "none" and not is_value(key) and key != "pass"


def _is_sure(value: str) -> bool:
    """Return whether a text beside a name is its value, and not another name."""
    return (
        len(value) >= _SHORTEST
        and (" " in value or strength(value) == "none")
        and any(map(str.isdigit, value))
        and (" " in value or not is_plain(value))
    )
