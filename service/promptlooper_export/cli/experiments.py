"""`import` and `list`: the experiments of a database."""

from contextlib import closing
from itertools import chain

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import counted, note, printable, table
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import (
    Importer,
    UnknownSourceError,
    choose,
    installed,
)
from promptlooper_export.records import Records
from promptlooper_export.store.migrate import prepare_own
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.writer import understood, write
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
@click.option(
    "--lenient",
    is_flag=True,
    help="Leave out members that are not part of the format, with a warning each, "
    "instead of refusing the file.",
)
def import_(sources: tuple[str, ...], kind: str | None, *, lenient: bool) -> None:
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
        understood(
            chain.from_iterable(
                _read(importer, source, lenient=lenient) for importer, source in chosen
            ),
            _warn,
        ),
    )
    experiments = counted(written.experiments, "experiment")
    runs = counted(written.runs, "run")
    note(f"imported {experiments}, {runs} ({written.unchanged} unchanged)")


def _read(importer: Importer, source: str, *, lenient: bool) -> Records:
    if not lenient or importer.read_leniently is None:
        return importer.read(source)
    told: set[str] = set()

    def leave_out(place: str, name: str, hint: str) -> None:
        if name not in told:
            told.add(name)
            _warn(f"{place}: unknown member {name!r} left out wherever it is{hint}")

    return importer.read_leniently(source, leave_out)


def _warn(text: str) -> None:
    note(f"warning: {printable(text)}")


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
