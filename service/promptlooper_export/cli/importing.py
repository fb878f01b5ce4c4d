"""`promptlooper-export import`."""

import click

from promptlooper_export import settings
from promptlooper_export.cli.sources import Reading, reading_options, warn
from promptlooper_export.cli.terminal import counted, note
from promptlooper_export.store.migrate import prepare_own
from promptlooper_export.store.writer import Written, understood, write


@click.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@reading_options
@click.option(
    "--replace",
    is_flag=True,
    help="Let each experiment take the place of the one that has its name, with its "
    "grants.",
)
def import_(*, sources: tuple[str, ...], reading: Reading, replace: bool) -> None:
    """Write experiments from files into the database.

    SOURCE is a file, or - for standard input. Either all sources are written or none.
    Importing the same source again changes nothing. A missing or empty database gets
    the tables it needs. Nothing is ever written to a runner's database.
    """
    loaded = settings.load()
    records = reading.records(sources)
    prepare_own(loaded.database_url, loaded.state_url)
    written = write(
        loaded.database_url,
        understood(records, warn),
        replace=replace,
        state_url=loaded.state_url,
    )
    say(written)


def say(written: Written) -> None:
    """Say what came in, after what people may want to undo."""
    for repeated, noun, where in (
        (written.experiment_names, "experiment", "another experiment has already"),
        (written.run_names, "run", "another run of the experiment has already"),
    ):
        if repeated.count:
            has = "has" if repeated.count == 1 else "have"
            warn(
                f"{counted(repeated.count, noun)} {has} a name that {where}, such as "
                f"{repeated.example!r}"
            )
    parts = [counted(written.experiments, "experiment"), counted(written.runs, "run")]
    others = [
        f"{count:,} {what}"
        for count, what in (
            (written.replaced, "replaced"),
            (written.unchanged, "unchanged"),
        )
        if count
    ]
    more = f" ({', '.join(others)})" if others else ""
    note(f"imported {', '.join(parts)}{more}")
