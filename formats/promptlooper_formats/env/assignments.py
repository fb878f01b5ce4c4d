"""The variables that a config becomes: a name and a text for each of its leaves."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from promptlooper_export.plugin import JSON, Path, UnrepresentableError, flatten


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A variable, its text, and the path in the config that it comes from."""

    key: str
    text: str
    path: Path


def assignments(config: Mapping[str, JSON], *, prefix: str) -> list[Assignment]:
    """Return a variable for each leaf of a config, by name.

    Raises UnrepresentableError where several leaves would share one name.
    """
    groups: dict[str, list[Assignment]] = {}
    for path, value in flatten(config):
        one = Assignment(key=_key(path, prefix), text=_text(value), path=path)
        groups.setdefault(one.key, []).append(one)
    collisions = {
        key: tuple(str(one.path) for one in group)
        for key, group in sorted(groups.items())
        if len(group) > 1
    }
    if collisions:
        found = "; ".join(
            f"{' and '.join(p)} become {k}" for k, p in collisions.items()
        )
        detail = f"Several paths share one variable: {found}. Choose format=json."
        raise UnrepresentableError(detail, paths=tuple(chain(*collisions.values())))
    return [groups[key][0] for key in sorted(groups)]


def _key(path: Path, prefix: str) -> str:
    key = prefix + re.sub(r"[^A-Z0-9_]", "_", "_".join(path).upper())
    return f"_{key}" if not key or key[0].isdigit() else key


def _text(value: JSON) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | dict):
        # The same JSON without the two characters that no quotes hold for all readers.
        text = text.replace("\\\\", "\\u005c").replace("'", "\\u0027")
    return text
