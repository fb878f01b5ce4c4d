"""The tables of MLflow's tracking store, in SQLite, PostgreSQL or read from a folder.

As with Optuna, the tables of runs are read side by side, in the order of the runs' ids.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import copysign, inf, nan
from typing import Any
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.databases import Database, Parts, Row, revision_of
from promptlooper_export.importers.interchange import NAMESPACE
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

TABLES = ("experiments", "runs", "params", "latest_metrics", "tags")
"""Tables that no other tool has together."""

TESTED = {"acf3f17fdcc7": "2.9", "dc11669786a5": "3.17"}
"""Revisions of the tables that were tried with the MLflow that writes them."""

_ACTIVE = "coalesce(runs.lifecycle_stage, 'active') = 'active'"

_EXPERIMENTS = """
SELECT experiment_id, name, coalesce(lifecycle_stage, 'active'),
    {creation_time}, {last_update_time}
FROM experiments ORDER BY experiment_id
"""

_EXPERIMENT_TAGS = """
SELECT "key", value FROM experiment_tags WHERE experiment_id = ? ORDER BY "key"
"""

_COUNTS = """
SELECT coalesce(lifecycle_stage, 'active'), count(*)
FROM runs WHERE experiment_id = ? GROUP BY coalesce(lifecycle_stage, 'active')
"""

_METRICS = f"""
SELECT DISTINCT "key" FROM latest_metrics
JOIN runs ON runs.run_uuid = latest_metrics.run_uuid
WHERE experiment_id = ? AND {_ACTIVE} ORDER BY "key"
"""

_LEFT_OUT = {
    "metrics": f"""
SELECT
    (SELECT count(*) FROM metrics JOIN runs ON runs.run_uuid = metrics.run_uuid
    WHERE runs.experiment_id = experiments.experiment_id AND {_ACTIVE})
    - (SELECT count(*) FROM latest_metrics AS latest
    JOIN runs ON runs.run_uuid = latest.run_uuid
    WHERE runs.experiment_id = experiments.experiment_id AND {_ACTIVE})
FROM experiments WHERE experiment_id = ?
""",
    "earlier_values": f"""
SELECT sum(count) FROM earlier_values
JOIN runs ON runs.run_uuid = earlier_values.run_uuid
WHERE experiment_id = ? AND {_ACTIVE}
""",
    "trace_info": "SELECT count(*) FROM trace_info WHERE experiment_id = ?",
    "logged_models": "SELECT count(*) FROM logged_models WHERE experiment_id = ?",
}
_NOUNS = {
    "metrics": "earlier values of metrics",
    "earlier_values": "earlier values of metrics",
    "trace_info": "traces",
    "logged_models": "logged models",
}

_RUNS = f"""
SELECT run_uuid, name, status, start_time, end_time, artifact_uri, source_type,
    source_name, source_version, entry_point_name, user_id
FROM runs WHERE experiment_id = ? AND {_ACTIVE} ORDER BY runs.run_uuid
"""

_PART = f"""
SELECT part.run_uuid, part."key", {{columns}}
FROM runs JOIN {{table}} AS part ON part.run_uuid = runs.run_uuid
WHERE experiment_id = ? AND {_ACTIVE} ORDER BY runs.run_uuid, part."key"
"""
_PARAMS = _PART.format(columns="value", table="params")
_TAGS = _PART.format(columns="value", table="tags")
_LATEST = _PART.format(columns="value, is_nan", table="latest_metrics")
_ARTIFACTS = _PART.format(columns="NULL", table="artifacts")

_DATASETS = f"""
SELECT runs.run_uuid, datasets.name, digest, dataset_source_type, dataset_source,
    context.value
FROM runs JOIN inputs ON destination_id = runs.run_uuid
JOIN datasets ON dataset_uuid = source_id
LEFT JOIN input_tags AS context
    ON context.input_uuid = inputs.input_uuid AND context.name = 'mlflow.data.context'
WHERE runs.experiment_id = ? AND {_ACTIVE} AND destination_type = 'RUN'
    AND inputs.source_type = 'DATASET'
ORDER BY runs.run_uuid, datasets.name, digest
"""
_DATASET = ("name", "digest", "source_type", "source", "context")

_STATES = {
    "SCHEDULED": "pending",
    "RUNNING": "running",
    "FINISHED": "completed",
    "FAILED": "failed",
    "KILLED": "cancelled",
}

_NOTE = "mlflow.note.content"
_PRIMARY = "mlflow.experiment.primaryMetric"
_SYSTEM = "system/"
"""What the names of metrics of the machine begin with."""

_SHOWN = 5
"""How many metrics a warning names."""

_COLUMNS: Mapping[str, Callable[[object], Any]] = {
    "tokens_in": values.whole,
    "tokens_out": values.whole,
    "duration_ms": values.whole,
    "cost_usd": values.cost,
}
"""Metrics that are columns of a run and no scores, and what reads them."""

_OWN = (
    "artifact_uri", "source_type", "source_name", "source_version", "entry_point_name",
    "user_id",
)  # fmt: skip

_LITERALS: Mapping[str, JSON] = {"True": True, "False": False, "None": None}
_NUMBER = re.compile(r"-?\d[\d.]*(?:e[+-]\d+)?")
_INTEGER = re.compile(r"-?\d+")
_UUID = re.compile(r"[0-9a-f]{32}")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(database: Database) -> Records:
    """Yield the experiments of a store. Raises SourceError, naming the run."""
    columns = database.columns
    warnings = _doubts(database, columns)
    times = {
        name: name if name in columns["experiments"] else "NULL"
        for name in ("creation_time", "last_update_time")
    }
    is_empty = True
    for row in database.rows(_EXPERIMENTS.format(**times)):
        key, name, stage, *_ = row
        runs: dict[str, int] = dict(database.rows(_COUNTS, key))
        if stage != "active":
            warnings += (f"the deleted experiment {name!r} is left out",)
        # Every store has this one, whether anybody uses it or not.
        elif runs or str(key) != "0":
            is_empty = False
            if deleted := runs.get("deleted"):
                warnings += (f"runs that were deleted are left out: {deleted:,}",)
            found = _experiment(database, columns, row, warnings)
            yield replace(found, total=runs.get("active", 0))
            warnings = ()
    if is_empty:
        msg = f"{database.name}: holds no experiment"
        raise SourceError(msg)


def _doubts(
    database: Database, columns: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """Say so if this revision of the tables was not tested."""
    if "alembic_version" not in columns:
        return ()
    revision = revision_of(database)
    if revision in TESTED:
        return ()
    msg = (
        f"the revision {revision} of MLflow's tables was not tested, only those of "
        f"{', '.join(TESTED.values())}: compare the counts"
    )
    return (msg,)


def _experiment(
    database: Database,
    columns: Mapping[str, frozenset[str]],
    row: Row,
    warnings: tuple[str, ...],
) -> ExperimentRecord:
    key, name, _, created, updated = row
    place = f"{database.name}: experiment {name!r}"
    tags: dict[str, str] = dict(database.rows(_EXPERIMENT_TAGS, key))
    own = {name: tags[name] for name in tags if not name.startswith("mlflow.")}
    described = filter(None, (tags.get(_NOTE), values.description(own, place)))
    metrics = [metric for (metric,) in database.rows(_METRICS, key)]
    scoring = _scoring(tags)
    # MLflow numbers experiments from 0 in each store.
    identity = uuid5(NAMESPACE, f"mlflow\n{key}\n{created or name}")
    return ExperimentRecord(
        id=identity,
        name=values.text(name, place),
        description="\n".join(described) or None,
        status="completed",
        parameter_space=None,
        scoring_config=scoring,
        created_at=_moment(created, place),
        updated_at=_moment(updated, place),
        runs=_runs(database, columns, key, identity, place),
        place=place,
        warnings=(
            *warnings,
            *_undecided(metrics, scoring),
            *_left_out(database, columns, key),
        ),
    )


def _scoring(tags: Mapping[str, str]) -> JSON:
    """Return the rule for the metric that the experiment is tagged with, if it is."""
    primary = tags.get(f"{_PRIMARY}.name")
    if primary is None:
        return None
    is_greater = tags.get(f"{_PRIMARY}.greaterIsBetter", "true").lower() == "true"
    return {
        "weights": {primary: 1},
        "directions": {primary: "maximize" if is_greater else "minimize"},
        "required": [primary],
    }


def _undecided(metrics: Sequence[str], scoring: JSON) -> Iterator[str]:
    scorers = [metric for metric in metrics if _is_scorer(metric)]
    if scoring is not None or not scorers:
        return
    shown = ", ".join(scorers[:_SHOWN]) + ", ..." * (len(scorers) > _SHOWN)
    mean = f"highest mean of {shown}" if len(scorers) > 1 else f"highest {shown}"
    yield (
        "MLflow does not say which metric decides, or whether high or low is better; "
        f"here the {mean} wins, unless you give weights and directions"
    )


def _is_scorer(metric: str) -> bool:
    return metric not in _COLUMNS and not metric.startswith(_SYSTEM)


def _left_out(
    database: Database, columns: Mapping[str, frozenset[str]], key: object
) -> Iterator[str]:
    """Name what there is no place for."""
    for table, sql in _LEFT_OUT.items():
        if table in columns:
            ((count,),) = database.rows(sql, key)
            if count:
                yield f"{_NOUNS[table]} are left out: {count:,}"


def _runs(
    database: Database,
    columns: Mapping[str, frozenset[str]],
    key: object,
    experiment: UUID,
    place: str,
) -> Iterator[RunRecord]:
    def parts(sql: str, *tables: str) -> Parts:
        is_there = columns.keys() >= {*tables}
        return Parts(database.rows(sql, key) if is_there else ())

    params, metrics, tags = parts(_PARAMS), parts(_LATEST), parts(_TAGS)
    datasets = parts(_DATASETS, "datasets", "inputs", "input_tags")
    artifacts = parts(_ARTIFACTS, "artifacts")
    for row in database.rows(_RUNS, key):
        run = row[0]
        own: dict[str, JSON] = {
            **dict(zip(_OWN, row[5:], strict=True)),
            "run_id": run,
            "datasets": [
                dict(zip(_DATASET, dataset, strict=True))
                for _, *dataset in datasets.of(run)
            ],
            "artifacts": [path for _, path, _ in artifacts.of(run)],
        }
        yield _run(
            experiment,
            f"{place}, run {run}",
            row,
            config={name: _param(text) for _, name, text in params.of(run)},
            metrics=metrics.of(run),
            tags={name: text for _, name, text in tags.of(run)},
            own=own,
        )


def _run(
    experiment: UUID,
    place: str,
    row: Row,
    *,
    config: Mapping[str, JSON],
    metrics: Sequence[Row],
    tags: Mapping[str, JSON],
    own: dict[str, JSON],
) -> RunRecord:
    key, name, state, begun, ended, *_ = row
    status = _STATES.get(state)
    if status is None:
        msg = f"{place}: the status {state!r} is not one of MLflow's"
        raise SourceError(msg)
    judged, columns, own["system_metrics"] = _sorted_out(metrics, place)
    begun, ended = _moment(begun, place), _moment(ended, place)
    written = values.config(config, place)
    return RunRecord(
        id=_identity(experiment, key),
        name=values.text(name or tags.get("mlflow.runName") or key, place),
        status=status,
        config=written.text,
        config_hash=written.hash,
        scores=judged,
        tokens_in=columns.get("tokens_in"),
        tokens_out=columns.get("tokens_out"),
        duration_ms=columns.get("duration_ms", values.milliseconds(begun, ended)),
        cost_usd=columns.get("cost_usd"),
        error=None,
        tags=values.tagged(tags, "mlflow", own),
        stage_results=(),
        created_at=begun,
        started_at=begun,
        finished_at=ended,
        updated_at=ended or begun,
    )


def _sorted_out(
    metrics: Sequence[Row], place: str
) -> tuple[dict[str, tuple[float]], dict[str, Any], dict[str, JSON]]:
    """Return a run's scores, what its columns hold, and the metrics of its machine."""
    scores: dict[str, tuple[float]] = {}
    columns: dict[str, Any] = {}
    machine: dict[str, JSON] = {}
    for _, metric, value, is_nan in metrics:
        double = _double(value, is_nan, f"{place}: {metric}")
        held = _COLUMNS[metric](double) if metric in _COLUMNS else None
        if metric.startswith(_SYSTEM):
            machine[metric] = values.plain(double)
        elif held is not None:
            columns[metric] = held
        else:
            scores[metric] = (double,)
    return scores, columns, machine


def _identity(experiment: UUID, run: str) -> UUID:
    """Return the id of a run, which is a UUID unless somebody made up another."""
    return UUID(run) if _UUID.fullmatch(run) else uuid5(experiment, run)


def _param(text: str) -> JSON:
    """Return the value that Python's str() turned into this text, if it is certain.

    A number is read only if it would be written in the same characters again.
    """
    if text in _LITERALS:
        return _LITERALS[text]
    if _NUMBER.fullmatch(text):
        kind = int if _INTEGER.fullmatch(text) else float
        try:
            number = kind(text)
        except ValueError:  # 1.2.3, or more digits than Python reads
            return text
        if str(number) == text:
            return number
    return text


def _double(value: object, is_nan: object, place: str) -> float:
    """Return a metric; MLflow's tables have no NaN and no infinity."""
    if is_nan:
        return nan
    double = values.number(value, place)
    return copysign(inf, double) if abs(double) == sys.float_info.max else double


def _moment(milliseconds: object, place: str) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=float(str(milliseconds)))
    except (ValueError, OverflowError) as error:
        msg = f"{place}: {milliseconds!r} is not a time in milliseconds"
        raise SourceError(msg) from error
