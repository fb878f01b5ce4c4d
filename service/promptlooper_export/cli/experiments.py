"""`import` and `list`: the experiments of a database."""

from contextlib import closing
from itertools import chain

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import counted, note, table
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import (
    UnknownSourceError,
    choose,
    installed,
)
from promptlooper_export.store.migrate import prepare_own
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.writer import write
from promptlooper_export.viewer import OPERATOR


@click.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--from",
    "kind",
    metavar="KIND",
    help=f"The kind of the sources ({', '.join(sorted(installed()))}); by default each "
    "is recognised from its content.",
)
def import_(sources: tuple[str, ...], kind: str | None) -> None:
    """Write experiments from files into the database.

    SOURCE is a file, or - for standard input. Either all sources are written or none.
    Importing the same source again changes nothing. A missing or empty database gets
    the tables it needs. Nothing is ever written to a runner's database.
    """
    loaded = settings.load()
    try:
        chosen = [(choose(source, kind=kind), source) for source in sources]
    except UnknownSourceError as error:
        msg = f"{error.detail}; name the kind with --from"
        raise SourceError(msg) from error
    prepare_own(loaded.database_url, loaded.state_url)
    written = write(
        loaded.database_url,
        chain.from_iterable(importer.read(source) for importer, source in chosen),
    )
    experiments = counted(written.experiments, "experiment")
    runs = counted(written.runs, "run")
    note(f"imported {experiments}, {runs} ({written.unchanged} unchanged)")


@click.command("list")
def list_() -> None:
    """List the experiments, newest first."""
    with (
        closing(open_store(settings.load().database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        found = list(snapshot.experiments())
    if not found:
        note("no experiments yet: promptlooper-export import FILE")
        return
    rows = [(str(row.id), row.name, row.status, str(row.runs)) for row in found]
    for line in table([("ID", "NAME", "STATUS", "RUNS"), *rows]):
        click.echo(line)
