"""Configs that a table spreads over columns: `config.retry.times` is a path."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Union

from promptlooper_export.configs import JSON, Path, strict_json, strict_value
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.lines import Member

_Tree = dict[str, Union[str, "_Tree"]]

_parse = lru_cache(maxsize=10_000)(Path.parse)


def config(leaves: Iterable[tuple[str, Member]], place: str) -> Member:
    """Return a config of leaves by their paths, each as it was written.

    Raises SourceError for a leaf that is at the place of another.
    """
    tree: _Tree = {}
    for path, leaf in leaves:
        *parents, last = _parse(path) or ("",)
        branch = tree
        for key in parents:
            below = branch.setdefault(key, {})
            if isinstance(below, str):
                msg = f"{place}: {path}: {key} has a value itself"
                raise SourceError(msg)
            branch = below
        if last in branch:
            msg = f"{place}: {path}: has several values"
            raise SourceError(msg)
        branch[last] = leaf.text
    text = _written(tree)
    try:
        return Member(value=strict_json(text), text=text)
    except ValueError as error:
        msg = f"{place}: the config: {error}"
        raise SourceError(msg) from error


def _written(tree: _Tree) -> str:
    members = (
        f"{json.dumps(key)}: {of if isinstance(of, str) else _written(of)}"
        for key, of in tree.items()
    )
    return f"{{{', '.join(members)}}}"


def member(text: str) -> Member:
    """Return text as JSON has it."""
    return Member(value=text, text=json.dumps(text, ensure_ascii=False))


def plain(value: JSON) -> Member:
    """Return a value whose text nobody reads."""
    return Member(value=value, text="")


def literal(text: str) -> Member | None:
    """Return the JSON value that is written there; None for any other text."""
    try:
        value, end = strict_value(text, 0)
    except (ValueError, RecursionError):
        return None
    return Member(value=value, text=text) if end == len(text) else None
