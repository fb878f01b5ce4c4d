"""Insert runs in batches: many rows with one statement, or one COPY on PostgreSQL."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from typing import NoReturn
from uuid import UUID

from peewee import (  # type: ignore[attr-defined]  # its stub lacks the wrapper
    DataError,
    IntegrityError,
    __exception_wrapper__,
)

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.records import RunRecord
from promptlooper_export.store.connection import Session

_JSON = json.JSONEncoder(ensure_ascii=False)

_RUNS = 500
_CHARACTERS = 1 << 20
"""A batch ends with so many runs, or sooner with so many characters of text."""

_RUN_COLUMNS = (
    "id", "experiment_id", "name", "status", "config", "config_hash", "tokens_in",
    "tokens_out", "duration_ms", "cost_usd", "error", "tags", "created_at",
    "started_at", "finished_at", "updated_at",
)  # fmt: skip

_SCORE_COLUMNS = ("run_id", "scorer_name", "value", "case_id")

_STAGE_COLUMNS = (
    "run_id", "stage_name", "output", "tokens_in", "tokens_out", "duration_ms",
)  # fmt: skip

_THERE = {
    "sqlite": "SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?))",
    "postgresql": "SELECT id FROM runs WHERE id = ANY (CAST(? AS uuid[]))",
}


def batches(runs: Iterable[RunRecord]) -> Iterator[list[RunRecord]]:
    """Yield the runs, some at a time."""
    batch: list[RunRecord] = []
    characters = 0
    for run in runs:
        batch.append(run)
        characters += len(run.config) + len(run.error or "")
        characters += sum(len(stage.output or "") for stage in run.stage_results)
        if len(batch) == _RUNS or characters > _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def new_ones(session: Session, batch: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs whose id is not in the database yet, each id once."""
    ids = [run.id.hex for run in batch]
    given = json.dumps(ids) if session.kind == "sqlite" else ids
    there = {UUID(str(key)) for (key,) in session.all(_THERE[session.kind], given)}
    found = {run.id: run for run in reversed(batch) if run.id not in there}
    return [run for run in batch if found.get(run.id) is run]


def insert(session: Session, experiment: UUID, batch: Sequence[RunRecord]) -> None:
    """Insert runs with their scores and stages.

    Raises SourceError naming a run that the database refuses.
    """
    try:
        # A savepoint: PostgreSQL takes no statement after one that failed.
        with session.database.atomic():
            _insert(session, experiment, batch)
    except (IntegrityError, DataError) as error:
        if len(batch) == 1:
            refused("run", batch[0].id, error)
        for run in batch:
            insert(session, experiment, [run])
        raise


def refused(kind: str, record: UUID, error: Exception) -> NoReturn:
    """Name the record that does not fit: the runner's own columns are narrower.

    Raises SourceError.
    """
    why = str(error).splitlines()[0]
    msg = f"{kind} {record}: the database refuses it: {why}"
    raise SourceError(msg) from error


def _insert(session: Session, experiment: UUID, batch: Sequence[RunRecord]) -> None:
    parent = session.key(experiment)
    rows = (_run(session, parent, run) for run in batch)
    _insert_rows(session, "runs", _RUN_COLUMNS, rows)
    scores = (
        (session.key(run.id), scorer, value, case)
        for run in batch
        for scorer, values in run.scores.items()
        for value, case in _judged(values, run.cases.get(scorer))
    )
    _insert_rows(session, "scores", _SCORE_COLUMNS, scores)
    stages = (
        (
            session.key(run.id),
            stage.stage_name,
            stage.output,
            stage.tokens_in,
            stage.tokens_out,
            stage.duration_ms,
        )
        for run in batch
        for stage in run.stage_results
    )
    _insert_rows(session, "stage_results", _STAGE_COLUMNS, stages)


def _judged(
    values: Sequence[float | None], cases: Sequence[str | None] | None
) -> Iterator[tuple[float | None, str | None]]:
    """Pair each judgement with its case."""
    if cases is None:
        return zip(values, repeat(None), strict=False)
    return zip(values, cases, strict=True)


def _insert_rows(
    session: Session,
    table: str,
    columns: Sequence[str],
    rows: Iterator[tuple[object, ...]],
) -> None:
    names = ", ".join(columns)
    # Peewee has neither executemany nor COPY, but its errors are what callers expect.
    with __exception_wrapper__:
        cursor = session.database.cursor()
        if session.kind == "sqlite":
            marks = ", ".join("?" * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
            return
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _run(session: Session, experiment: object, run: RunRecord) -> tuple[object, ...]:
    return (
        session.key(run.id),
        experiment,
        run.name,
        run.status,
        run.config,
        run.config_hash,
        run.tokens_in,
        run.tokens_out,
        run.duration_ms,
        run.cost_usd,
        run.error,
        json_text(run.tags),
        stored(session, run.created_at),
        stored(session, run.started_at),
        stored(session, run.finished_at),
        stored(session, run.updated_at),
    )


def json_text(value: JSON) -> str | None:
    """Return a value as our own tables hold it."""
    return None if value is None else _JSON.encode(value)


def stored(session: Session, moment: datetime | None) -> object:
    """Return a moment as this database holds it: SQLite as text in UTC."""
    if moment is None or session.kind == "postgresql":
        return moment
    return _in_utc(moment)


# Of the four moments of a run, two are often the same.
@lru_cache(maxsize=8)
def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ")
