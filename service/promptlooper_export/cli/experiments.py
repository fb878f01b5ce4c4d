"""`import`, `list` and `delete`: the experiments of a database."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain

import click

from promptlooper_export import settings
from promptlooper_export.cli.completion import EXPERIMENT
from promptlooper_export.cli.mapping import takes_mapping
from promptlooper_export.cli.terminal import (
    AS_JSON,
    counted,
    note,
    printable,
    table,
    write_json,
)
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import (
    ColumnMapping,
    Importer,
    UnknownSourceError,
    choose,
    installed,
)
from promptlooper_export.records import Records, RunRecord
from promptlooper_export.schemas import ExperimentSummarySchema
from promptlooper_export.store import deletion
from promptlooper_export.store.deletion import require_deletable
from promptlooper_export.store.experiments import ExperimentSummary, find_whole
from promptlooper_export.store.migrate import prepare_own
from promptlooper_export.store.ranking import Place
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.state import looking
from promptlooper_export.store.writer import Written, understood, write
from promptlooper_export.viewer import OPERATOR

_SHORT_ID = 8
"""As many characters of a run's id as the list shows; its JSON has the whole id."""

_SHOWN = 500
"""After how many runs a terminal shows how many there are."""


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
@click.option(
    "--replace",
    is_flag=True,
    help="Let each experiment take the place of the one that has its name, with its "
    "grants.",
)
@takes_mapping
def import_(
    sources: tuple[str, ...],
    kind: str | None,
    *,
    mapping: ColumnMapping | None,
    lenient: bool,
    replace: bool,
) -> None:
    """Write experiments from files into the database.

    SOURCE is a file, or - for standard input. Either all sources are written or none.
    Importing the same source again changes nothing. A missing or empty database gets
    the tables it needs. Nothing is ever written to a runner's database.
    """
    loaded = settings.load()
    try:
        chosen = [
            (choose(source, kind=kind, is_mapped=mapping is not None), source)
            for source in sources
        ]
    except UnknownSourceError as error:
        msg = f"{error.detail}; name the kind with --from"
        raise SourceError(msg) from error
    prepare_own(loaded.database_url, loaded.state_url)
    written = write(
        loaded.database_url,
        _shown(
            understood(
                chain.from_iterable(
                    _read(importer, source, mapping, lenient=lenient)
                    for importer, source in chosen
                ),
                _warn,
            )
        ),
        replace=replace,
        state_url=loaded.state_url,
    )
    _say(written)


def _read(
    importer: Importer, source: str, mapping: ColumnMapping | None, *, lenient: bool
) -> Records:
    if mapping is not None and importer.read_columns is not None:
        return importer.read_columns(source, mapping)
    if not lenient or importer.read_leniently is None:
        return importer.read(source)
    told: set[str] = set()

    def leave_out(place: str, name: str, hint: str) -> None:
        if name not in told:
            told.add(name)
            _warn(f"{place}: unknown member {name!r} left out wherever it is{hint}")

    return importer.read_leniently(source, leave_out)


def _shown(records: Records) -> Records:
    """Count the runs on stderr as they are read, if that is a terminal."""
    if not sys.stderr.isatty():
        return records
    count = 0

    def counting(runs: Iterator[RunRecord]) -> Iterator[RunRecord]:
        nonlocal count
        for run in runs:
            yield run
            count += 1
            if count % _SHOWN == 0:
                # Whatever line comes next is longer, and is written over this one.
                click.echo(f"{counted(count, 'run')}\r", nl=False, err=True)

    return (
        dataclasses.replace(record, runs=counting(record.runs)) for record in records
    )


def _say(written: Written) -> None:
    """Say what came in, after what people may want to undo."""
    for repeated, noun, where in (
        (written.experiment_names, "experiment", "another experiment has already"),
        (written.run_names, "run", "another run of the experiment has already"),
    ):
        if repeated.count:
            has = "has" if repeated.count == 1 else "have"
            _warn(
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


def _warn(text: str) -> None:
    note(f"warning: {printable(text)}")


@click.command("list")
@AS_JSON
def list_(*, as_json: bool) -> None:
    """List the experiments, newest first."""
    with (
        closing(open_store(settings.load().database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        found = [(row, snapshot.leader(row.id)) for row in snapshot.experiments()]
    if as_json:
        write_json([_described(row, leader) for row, leader in found])
        return
    if not found:
        note("no experiments yet: promptlooper-export import FILE")
        return
    now = datetime.now(UTC)
    rows = [
        (
            str(row.id),
            row.name,
            row.status,
            str(row.runs),
            "" if leader is None else str(leader.run_id)[:_SHORT_ID],
            "" if leader is None else f"{leader.weighted_score:.4f}",
            "" if row.created_at is None else _age(now - row.created_at),
        )
        for row, leader in found
    ]
    names = ("ID", "NAME", "STATUS", "RUNS", "WINNER", "SCORE", "AGE")
    for line in table([names, *rows]):
        click.echo(line)


def _described(row: ExperimentSummary, leader: Place | None) -> dict[str, object]:
    winner = None
    if leader is not None:
        winner = {
            "run_id": str(leader.run_id),
            "weighted_score": leader.weighted_score,
        }
    return {**ExperimentSummarySchema().dump(row), "winner": winner}


def _age(age: timedelta) -> str:
    """Return an age in whole minutes, hours or days, such as `3 h`."""
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h")):
        if age >= unit:
            return f"{age // unit} {name}"
    return f"{max(age // timedelta(minutes=1), 0)} min"


@click.command()
@EXPERIMENT
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(*, reference: str, yes: bool) -> None:
    """Delete an experiment with all its runs.

    Their scores and stage results and the experiment's grants go with them. ID and NAME
    must be whole. Asks before it deletes; without a terminal to ask on, --yes is
    needed. Nothing is ever deleted from a runner's database.
    """
    loaded = settings.load()
    with (
        closing(open_store(loaded.database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        found = find_whole(snapshot.experiments(), reference)
    with looking(loaded.database_url) as session:
        require_deletable(session)
    what = f"{printable(found.name)} ({found.id}, {counted(found.runs, 'run')})"
    if not yes:
        if not sys.stdin.isatty():
            msg = f"This would delete {what} for good; to do so, add --yes."
            raise click.UsageError(msg)
        click.confirm(f"Delete {what} for good?", abort=True, err=True)
    deletion.delete(loaded.database_url, found.id, state_url=loaded.state_url)
    note(f"deleted {what}")
