"""`promptlooper-export index`."""

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import note
from promptlooper_export.store.diagnosis import look_at_indexes, make_indexes


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
def index(*, dry_run: bool) -> None:
    """Create the indexes that speed up exports.

    Prints each statement. On PostgreSQL, the runner can keep writing meanwhile. Exports
    are correct without them.
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
            "indexed from here; index the tables it reads from"
        )
    if not found.statements and not found.impossible:
        note("nothing to do")
