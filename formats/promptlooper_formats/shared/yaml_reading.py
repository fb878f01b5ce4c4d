"""Read YAML that holds what JSON can say: our own files, and those people edited."""

import math
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.nodes import MappingNode

from promptlooper_export.plugin import JSON

try:
    from yaml import CSafeLoader as BaseLoader
except ImportError:  # PyYAML without libyaml is right as well, and 7 times slower
    from yaml import SafeLoader as BaseLoader  # type: ignore[assignment]

# A type of YAML 1.1 that JSON and the core schema of 1.2 do not have.
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(BaseLoader):
    """Reads dates as text, and refuses repeated keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012  as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in BaseLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(
        self,
        node: MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Hashable, Any]:
        """Build a mapping; raises ValueError if a key is not text or comes twice."""
        # PyYAML itself would keep the last of two equal keys without a word.
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key)
            where = f"line {key.start_mark.line + 1}"
            if not isinstance(name, str):
                msg = f"{where}: the key {name!r} is not text"
                raise ValueError(msg)
            if name in seen:
                msg = f"{where}: the key {name!r} is there twice"
                raise ValueError(msg)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def read_yaml(data: bytes) -> dict[str, JSON]:
    """Return the mapping that a file holds.

    Raises ValueError, saying where, unless the file is YAML, a mapping and JSON values.
    """
    try:
        value = yaml.load(data, Loader=_Loader)  # noqa: S506  a safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(value, dict):
        msg = "the file holds no mapping"
        raise ValueError(msg)
    _check(value)
    return value


def _check(value: object) -> None:
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            _check(member)
    elif not isinstance(value, str | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        msg = f"{value!r} is not a value of JSON"
        raise ValueError(msg)
