"""`promptlooper-export demo`."""

import shlex
from contextlib import suppress

import click

from promptlooper_export.cli.demo_data import EXPERIMENT, demo_experiments
from promptlooper_export.cli.loopback import (
    Served,
    database_in,
    serve_until_stopped,
    throw_away_folder,
)
from promptlooper_export.cli.terminal import note
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write
from promptlooper_export.web.invitation import MINUTES

AUTHORIZATION = '-H "Authorization: Bearer $EXPORT_TOKEN"'


@click.command()
def demo() -> None:
    """Try everything on a throw-away database.

    Serves made-up experiments until Ctrl-C. Prints a link that signs your browser in
    and shows a report, and commands to try in another shell. Everything is in a
    temporary folder, which is removed at the end.
    """
    with suppress(KeyboardInterrupt), throw_away_folder() as folder:
        migrate(database_in(folder), create=True)
        write(database_in(folder), demo_experiments())
        serve_until_stopped(folder, EXPERIMENT, introduce)


def introduce(served: Served) -> None:
    """Print the link, and commands to try, one per line, that work in any shell."""
    note(f"Open this link within {MINUTES} minutes; it signs in one browser, once:")
    click.echo(served.link)
    note(f"Or try this in another shell; {served.base}/docs has more:")
    export = f"{served.base}/experiments/{served.invitation.experiment}/export"
    token_file = shlex.quote(str(served.invitation.token_file))
    click.echo(f"export EXPORT_URL={export}")
    click.echo(f'export EXPORT_TOKEN="$(cat {token_file})"')
    for query in ("", "?format=env", "?format=markdown"):
        click.echo(f'curl {AUTHORIZATION} "$EXPORT_URL{query}"')
    note("Ctrl-C stops the server and leaves nothing behind.")
