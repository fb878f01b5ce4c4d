"""`promptlooper-export import`."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

import click

from promptlooper_export import settings
from promptlooper_export.cli.reading import reading_options
from promptlooper_export.cli.sources import (
    Reading,
    flagged,
    temporary_store,
    warn,
)
from promptlooper_export.cli.terminal import counted, note, table
from promptlooper_export.records import ExperimentRecord, Records, RunRecord
from promptlooper_export.settings import Settings
from promptlooper_export.store.listing import ExperimentSummary
from promptlooper_export.store.migrate import prepare_own
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.writer import Written, understood, write
from promptlooper_export.viewer import OPERATOR

_SCORERS = 4
"""How many scorers a dry run names."""


@click.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@reading_options
@click.option(
    "--replace",
    is_flag=True,
    help="Let each experiment take the place of the one that has its name, with its "
    "grants.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read everything and show what would come in, but write nothing.",
)
def import_(
    *, sources: tuple[str, ...], reading: Reading, replace: bool, dry_run: bool
) -> None:
    """Write experiments from files into the database.

    SOURCE is a file, a folder, a URL, or - for standard input. Either all sources are
    written or none. Importing the same source again changes nothing. A missing or empty
    database gets the tables it needs. Nothing is ever written to a runner's database.
    """
    loaded = settings.load()
    records = understood(flagged(reading.records(sources)), warn)
    if dry_run:
        _show(records, _there(loaded), replace=replace)
        return
    prepare_own(loaded.database_url, loaded.state_url)
    written = write(
        loaded.database_url,
        records,
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


@dataclass(frozen=True, kw_only=True)
class _Incoming:
    """An experiment of a dry run, and what its runs are."""

    record: ExperimentRecord
    statuses: Counter[str] = field(default_factory=Counter)
    scorers: dict[str, None] = field(default_factory=dict)

    def counting(self) -> Iterator[RunRecord]:
        """Yield the runs, and keep the counts as they pass."""
        for run in self.record.runs:
            self.statuses[run.status] += 1
            self.scorers.update(dict.fromkeys(run.scores))
            yield run


def _there(loaded: Settings) -> list[ExperimentSummary]:
    """Return the experiments of the database to import into, which is not touched."""
    if not prepare_own(loaded.database_url, loaded.state_url, dry_run=True):
        return []
    with (
        closing(open_store(loaded.database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        return list(snapshot.experiments())


def _show(records: Records, there: list[ExperimentSummary], *, replace: bool) -> None:
    """Import into a temporary database, and show what came in."""
    found: dict[UUID, _Incoming] = {}

    def noting() -> Records:
        for record in records:
            incoming = found.setdefault(record.id, _Incoming(record=record))
            yield dataclasses.replace(record, runs=incoming.counting())

    with (
        temporary_store(noting()) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        leaders = {identity: snapshot.leader(identity) for identity in found}
    rows = [
        (
            one.record.name,
            f"{one.statuses.total():,}",
            ", ".join(f"{count:,} {word}" for word, count in one.statuses.items()),
            _named(list(one.scorers)),
            f"{leader.weighted_score:.4f}" if (leader := leaders[identity]) else "",
            _fate(one.record, there, replace=replace),
        )
        for identity, one in found.items()
    ]
    names = ("EXPERIMENT", "RUNS", "BY STATUS", "SCORERS", "BEST", "IN THE DATABASE")
    for line in table([names, *rows]):
        click.echo(line)
    note("dry run: nothing was imported")


def _fate(
    record: ExperimentRecord, there: list[ExperimentSummary], *, replace: bool
) -> str:
    """Say what the experiment meets in the database."""
    named = [row for row in there if row.name == record.name]
    if replace and named:
        return f"replaces {', '.join(str(row.id) for row in named)}"
    for row in there:
        if row.id == record.id:
            return f"is there, with {counted(row.runs, 'run')}"
    return "new, beside another of this name" if named else "new"


def _named(scorers: list[str]) -> str:
    others = len(scorers) - _SCORERS
    shown = ", ".join(scorers[:_SCORERS])
    return f"{shown} and {others} more" if others > 0 else shown
