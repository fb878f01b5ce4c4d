"""What the shell completes: formats, their options and experiments."""

from collections.abc import Iterator, Mapping
from contextlib import closing

import click
from click.shell_completion import CompletionItem

from promptlooper_export import settings
from promptlooper_export.configs import JSON
from promptlooper_export.errors import ExportError
from promptlooper_export.registry import describe_options, discover
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR


def complete_format(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a format."""
    return [
        CompletionItem(name, help=row.title)
        for name, row in discover().formats.items()
        if name.startswith(incomplete)
    ]


def complete_option(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of an option of the format that is named with -f.

    After the `=`, complete its value if only some are allowed.
    """
    format = discover().formats.get(ctx.params.get("format_name") or "")
    if format is None:
        return []
    options = describe_options(format.options)
    if "=" in incomplete:
        texts = [text for option in options for text in _pairs(option)]
    else:
        texts = [f"{option['name']}=" for option in options]
    return [CompletionItem(text) for text in texts if text.startswith(incomplete)]


def _pairs(option: Mapping[str, JSON]) -> Iterator[str]:
    is_boolean = option["type"] == "boolean"
    allowed = ["true", "false"] if is_boolean else option.get("allowed")
    if isinstance(allowed, list):
        yield from (f"{option['name']}={value}" for value in allowed)


def complete_experiment(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the id or the name of an experiment; nothing without a database.

    A name with a space is left out, as shells would take it for several words.
    """
    try:
        with (
            closing(open_store(settings.load().database_url)) as store,
            store.snapshot(OPERATOR) as snapshot,
        ):
            found = list(snapshot.experiments())
    except ExportError:
        return []  # a message in the middle of a command line would be worse
    names = [row.name for row in found if row.name.split() == [row.name]]
    ids = [CompletionItem(str(row.id), help=row.name) for row in found]
    items = [*map(CompletionItem, dict.fromkeys(names)), *(ids if incomplete else [])]
    return [item for item in items if item.value.startswith(incomplete)]


EXPERIMENT = click.argument(
    "reference", metavar="ID|NAME", shell_complete=complete_experiment
)
