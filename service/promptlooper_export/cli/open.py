"""`promptlooper-export open`."""

import os
import subprocess
import sys
from contextlib import closing

import click

from promptlooper_export.cli.importing import say
from promptlooper_export.cli.loopback import (
    Served,
    database_in,
    serve_until_stopped,
    throw_away_folder,
)
from promptlooper_export.cli.reading import reading_options
from promptlooper_export.cli.sources import Reading
from promptlooper_export.cli.terminal import note
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.writer import understood, write
from promptlooper_export.viewer import OPERATOR
from promptlooper_export.web.invitation import MINUTES

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@click.command("open")
@click.argument("sources", metavar="FILE|FOLDER|URL...", nargs=-1, required=True)
@reading_options
@click.option(
    "--no-browser", is_flag=True, help="Print the link instead of opening a browser."
)
def open_(*, sources: tuple[str, ...], reading: Reading, no_browser: bool) -> None:
    """Show the report of what any tool wrote, in the browser.

    Reads what `import` reads, into a temporary database, and serves it to your browser
    until Ctrl-C. Then everything is removed. No database, no secret and no setting is
    needed. Several experiments are shown as a list.
    """
    with throw_away_folder() as folder:
        url = database_in(folder)
        migrate(url, create=True)
        # What the rules leave in doubt, the report itself warns of.
        say(write(url, understood(reading.records(sources), lambda _: None)))
        with (
            closing(open_store(url)) as store,
            store.snapshot(OPERATOR) as snapshot,
        ):
            ids = [row.id for row in snapshot.experiments()]

        def introduce(served: Served) -> None:
            _introduce(served, has_browser=not no_browser and _has_screen())

        serve_until_stopped(folder, ids[0] if len(ids) == 1 else None, introduce)


def _introduce(served: Served, *, has_browser: bool) -> None:
    opening = "Opening the report in your browser. If nothing opens, open" * has_browser
    note(
        f"{opening or 'Open'} this link within {MINUTES} minutes; it signs in one "
        "browser, once:"
    )
    click.echo(served.link)
    note("Ctrl-C stops the server and leaves nothing behind.")
    if has_browser:
        # A process of its own: some browsers keep their caller waiting.
        subprocess.Popen(  # noqa: S603  our own link
            [sys.executable, "-m", "webbrowser", served.link],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _has_screen() -> bool:
    """Return whether a browser has a screen.

    One in the terminal would use up the link, and show the report to nobody.
    """
    return sys.platform == "darwin" or any(map(os.environ.get, _SCREENS))
