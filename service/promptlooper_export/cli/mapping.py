"""The options that say what the columns of a table are."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import click

from promptlooper_export.importers.importer import ColumnMapping

_Result = TypeVar("_Result")

_SCORE = click.option(
    "--score",
    "scores",
    metavar="COLUMN",
    multiple=True,
    help="A column of scores in a table (CSV, JSONL), or several, such as 'metric.*'; "
    "repeatable.",
)

_CONFIG = click.option(
    "--config",
    metavar="COLUMN",
    multiple=True,
    help="A column of the table that is part of the config, or several, such as "
    "'param.*', whose names go on after the dot; repeatable.",
)

_NAME = click.option(
    "--name", metavar="COLUMN", help="The column of the table that names the runs."
)


def takes_mapping(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give a command the options; it gets `mapping`, which is None without them."""

    @_SCORE
    @_CONFIG
    @_NAME
    @wraps(command)
    def mapped(
        *args: object,
        scores: tuple[str, ...],
        config: tuple[str, ...],
        name: str | None,
        **kwargs: object,
    ) -> _Result:
        is_mapped = scores or config or name is not None
        mapping = (
            ColumnMapping(scores=scores, config=config, name=name)
            if is_mapped
            else None
        )
        return command(*args, mapping=mapping, **kwargs)

    return mapped
