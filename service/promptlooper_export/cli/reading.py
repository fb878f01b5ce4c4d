"""The options that say how the sources of an import are read."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from promptlooper_export.cli.sources import Reading
from promptlooper_export.importers.importer import ColumnMapping, installed

_KIND = click.option(
    "--from",
    "kind",
    metavar="KIND",
    help=f"The kind of the sources ({', '.join(sorted(installed()))}); by default each "
    "is recognised from its content.",
)
_LENIENT = click.option(
    "--lenient",
    is_flag=True,
    help="Leave out members that are not part of the format, with a warning each, "
    "instead of refusing the file.",
)
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


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that make up its argument `reading`."""

    @_KIND
    @_LENIENT
    @_SCORE
    @_CONFIG
    @_NAME
    @wraps(command)
    def collected(
        *,
        kind: str | None,
        lenient: bool,
        scores: tuple[str, ...],
        config: tuple[str, ...],
        name: str | None,
        **values: Any,  # noqa: ANN401  the values of click's options
    ) -> None:
        mapping = (
            ColumnMapping(scores=scores, config=config, name=name)
            if scores or config or name is not None
            else None
        )
        reading = Reading(kind=kind, mapping=mapping, lenient=lenient)
        command(reading=reading, **values)

    return collected
