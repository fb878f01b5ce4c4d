"""`promptlooper-export index`."""

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import note
from promptlooper_export.store.diagnosis import look_at_indexes, make_indexes


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
def index(*, dry_run: bool) -> None:
    """Make the indexes that make exports quicker.

    Prints each statement. On PostgreSQL, they are made while the runner goes on
    writing. Exports are right without them.
    """
    url = settings.load().database_url
    found = look_at_indexes(url)
    for statement in (
        found.statements if dry_run else make_indexes(url, found.statements)
    ):
        click.echo(f"{statement};")
    for table in found.impossible:
        note(
            f"{table} is a view or a partitioned or foreign table, which cannot be "
            "indexed from here; index the tables that it reads"
        )
    if not found.statements and not found.impossible:
        note("nothing to do")
