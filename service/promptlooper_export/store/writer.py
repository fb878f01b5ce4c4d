"""Write imported experiments: all of them or none."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from peewee import DataError, IntegrityError

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.records import ExperimentRecord, Records, RunRecord
from promptlooper_export.store.connection import Session, open_for_writing, writing
from promptlooper_export.store.migrate import require_own
from promptlooper_export.store.scoring import doubts, faults

_EXPERIMENT = """
INSERT INTO experiments (
    id, name, description, status, parameter_space, scoring_config,
    created_at, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_RUN = """
INSERT INTO runs (
    id, experiment_id, name, status, config, config_hash, tokens_in, tokens_out,
    duration_ms, cost_usd, error, tags, created_at, started_at, finished_at, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_SCORE = "INSERT INTO scores (run_id, scorer_name, value) VALUES (?, ?, ?)"

_STAGE_RESULT = """
INSERT INTO stage_results (
    run_id, stage_name, output, tokens_in, tokens_out, duration_ms
) VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many experiments and runs are new, and how many runs were there already."""

    experiments: int
    runs: int
    unchanged: int


def write(url: str, records: Records) -> Written:
    """Write the records in one transaction; rows whose id is there stay as they are.

    Raises what the importer raises while it is read, SourceError for a row that the
    database refuses, MigrationError for a database that is not our own, and
    DatabaseUnavailableError; then nothing is written.
    """
    experiments = runs = unchanged = 0
    # Records are read while the transaction is open: a file of any size passes through,
    # and a broken line near its end undoes everything.
    with writing(open_for_writing(url)) as session:
        require_own(session)
        for record in records:
            with _named(f"experiment {record.id}"):
                experiments += _write_experiment(session, record)
            for run in record.runs:
                if _is_there(session, "runs", run.id):
                    unchanged += 1
                else:
                    with _named(f"run {run.id}"):
                        _write_run(session, record.id, run)
                    runs += 1
    return Written(experiments=experiments, runs=runs, unchanged=unchanged)


def understood(records: Records, warn: Callable[[str], None]) -> Records:
    """Yield the records; `warn` of rules that are understood and may surprise.

    Raises SourceError for a weight or a direction word that is not understood: it would
    be left out, and another run win.
    """
    for record in records:
        place = record.place or f"experiment {record.id}"
        for fault in faults(record.scoring_config):
            msg = f"{place}: {fault.what}{fault.hint or f'; correct {fault.path}'}"
            raise SourceError(msg)
        # Which scorers there are is not known before the runs are read.
        for notice in doubts(record.scoring_config, {}, frozenset()):
            warn(f"{place}: {notice.message}")
        yield record


@contextmanager
def _named(record: str) -> Iterator[None]:
    """Name the record that does not fit: the runner's own columns are narrower."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        msg = f"{record}: the database refuses it: {str(error).splitlines()[0]}"
        raise SourceError(msg) from error


# Asked first, because a run that is there keeps its scores and stages as they are.
def _is_there(session: Session, table: str, row: UUID) -> bool:
    found = session.one(f"SELECT 1 FROM {table} WHERE id = ?", session.key(row))
    return found is not None


def _write_experiment(session: Session, record: ExperimentRecord) -> int:
    if _is_there(session, "experiments", record.id):
        return 0
    session.run(
        _EXPERIMENT,
        session.key(record.id),
        record.name,
        record.description,
        record.status,
        _json(record.parameter_space),
        _json(record.scoring_config),
        _moment(session, record.created_at),
        _moment(session, record.updated_at),
    )
    return 1


def _write_run(session: Session, experiment: UUID, run: RunRecord) -> None:
    key = session.key(run.id)
    session.run(
        _RUN,
        key,
        session.key(experiment),
        run.name,
        run.status,
        run.config,
        run.config_hash,
        run.tokens_in,
        run.tokens_out,
        run.duration_ms,
        run.cost_usd,
        run.error,
        _json(run.tags),
        _moment(session, run.created_at),
        _moment(session, run.started_at),
        _moment(session, run.finished_at),
        _moment(session, run.updated_at),
    )
    for scorer, values in run.scores.items():
        for value in values:
            session.run(_SCORE, key, scorer, value)
    for stage in run.stage_results:
        session.run(
            _STAGE_RESULT,
            key,
            stage.stage_name,
            stage.output,
            stage.tokens_in,
            stage.tokens_out,
            stage.duration_ms,
        )


def _json(value: JSON) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _moment(session: Session, moment: datetime | None) -> object:
    """Return a moment as this database holds it: SQLite as text in UTC."""
    if moment is None or session.kind == "postgresql":
        return moment
    return moment.astimezone(UTC).isoformat(" ")
