"""`promptlooper-export list`."""

from contextlib import closing

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import note, table
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR


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
