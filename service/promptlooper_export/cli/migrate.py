"""`migrate` and `index`: what this service may add beside or to a database."""

from collections.abc import Iterator, Sequence

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import counted, note
from promptlooper_export.settings import Settings
from promptlooper_export.store.diagnosis import look_at_indexes, make_indexes
from promptlooper_export.store.migrate import Outcome, Standing, take_away
from promptlooper_export.store.migrate import migrate as bring
from promptlooper_export.store.state import beside

EMPTY = (
    "nothing to do: the database is empty. If it is the runner's, let the runner make "
    "its tables; `import` makes them itself, and so does migrate --create"
)


@click.command()
@click.option(
    "--create", is_flag=True, help="Create the runner's tables in an empty database."
)
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
@click.option("--down", is_flag=True, help="Remove everything that migrate created.")
@click.pass_context
def migrate(ctx: click.Context, *, create: bool, dry_run: bool, down: bool) -> None:
    """Prepare a place for grants and revoked tokens.

    The place is apart from the runner's tables, and exports work without it. Anything
    that an earlier version added to a runner's database is removed; grants are kept.
    """
    loaded = settings.load()
    if down:
        if create:
            msg = "'--create' does not go with '--down'."
            raise click.UsageError(msg, ctx)
        statements = take_away(
            loaded.database_url, state_url=loaded.state_url, dry_run=dry_run
        )
        said = ["removed what migrate created"]
    else:
        outcome = bring(
            loaded.database_url,
            state_url=loaded.state_url,
            create=create,
            dry_run=dry_run,
        )
        statements, said = outcome.statements, list(_said(outcome, loaded))
        if outcome.standing is Standing.EMPTY and not create:
            note(EMPTY)
            return
    if not statements:
        note("nothing to do")
    elif dry_run:
        _show(statements)
    else:
        for line in said:
            note(line)


def _show(statements: Sequence[str]) -> None:
    for statement in statements:
        click.echo(statement)
    note(f"{counted(len(statements), 'statement')} would run")


def _said(outcome: Outcome, loaded: Settings) -> Iterator[str]:
    """Yield lines that say what was done."""
    where = "the database itself"
    if outcome.apart:
        file = None if loaded.state_url else beside(loaded.database_url)
        where = str(file) if file else "PROMPTLOOPER_STATE_URL"
    place = f"grants and revocations are kept in {where}"
    match outcome.standing:
        case Standing.EMPTY:
            yield f"created the runner's tables; {place}"
        case Standing.OWN:
            yield f"brought up to date; {place}"
        case Standing.RUNNERS:
            yield (
                f"{place}; the runner's tables are unchanged, and nothing else is "
                "needed"
            )
        case Standing.EARLIER:
            yield f"removed what an earlier version added; {place}"
    if outcome.columns:
        yield (
            "columns from an earlier version stay, since they may hold values: "
            f"{', '.join(outcome.columns)}"
        )


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
