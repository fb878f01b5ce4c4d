"""`list` and `delete`: the experiments of a database."""

import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import click

from promptlooper_export import settings
from promptlooper_export.cli.completion import EXPERIMENT
from promptlooper_export.cli.terminal import (
    AS_JSON,
    counted,
    note,
    printable,
    table,
    write_json,
)
from promptlooper_export.schemas import ExperimentSummarySchema
from promptlooper_export.store import deletion
from promptlooper_export.store.deletion import require_deletable
from promptlooper_export.store.listing import ExperimentSummary, find_whole
from promptlooper_export.store.ranking import Place
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.state import looking
from promptlooper_export.viewer import OPERATOR

_SHORT_ID = 8
"""As many characters of a run's id as the list shows; its JSON has the whole id."""


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
