"""`promptlooper-export migrate`."""

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import counted, note
from promptlooper_export.store.migrate import LATEST
from promptlooper_export.store.migrate import migrate as bring


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
@click.option(
    "--to",
    "target",
    type=click.IntRange(0, LATEST),
    metavar="VERSION",
    help="Go up or down to this schema version; 0 takes everything away that migrate "
    f"added.  [default: {LATEST}]",
)
def migrate(*, dry_run: bool, target: int | None) -> None:
    """Bring the database to the current schema.

    Adopts the database of PromptLooper's runner: adds what is missing, drops and
    rewrites no row. Runs in one transaction, one migration at a time.
    """
    url = settings.load().database_url
    statements = bring(url, target=target, dry_run=dry_run)
    version = LATEST if target is None else target
    if not statements:
        note(f"up to date: schema version {version}")
    elif dry_run:
        for statement in statements:
            click.echo(f"{statement.rstrip().rstrip(';')};")
        note(f"{counted(len(statements), 'statement')} would run")
    else:
        count = counted(len(statements), "statement")
        note(f"migrated to schema version {version} ({count})")
