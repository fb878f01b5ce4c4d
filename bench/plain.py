"""The references: the driver's rows, and the plainest way to write or to weigh them.

The writers write all that a document of runs holds. They check nothing: no secret, no
NaN, no repeated key, no text that cannot be written. Their memory grows with the runs,
since they hold each one's rank.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import IO, Any
from uuid import UUID

from promptlooper_export.store.connection import (
    Row,
    Session,
    open_for_reading,
    open_for_writing,
    reading,
    writing,
)

SCORED = """
WITH judged AS (
    SELECT run_id, scorer_name, avg(value) AS value
    FROM runs JOIN scores ON run_id = runs.id
    WHERE experiment_id = ? AND status = 'completed' AND value BETWEEN -1e308 AND 1e308
    GROUP BY run_id, scorer_name
), scored AS (
    SELECT
        run_id,
        sum(value * CASE scorer_name {weights} ELSE 0 END)
            / sum(CASE scorer_name {weights} ELSE 0 END) AS score
    FROM judged GROUP BY run_id
)
"""
"""The weighted scores, in native arithmetic."""

BEST = f"{SCORED} SELECT run_id, score FROM scored ORDER BY score DESC LIMIT 2"

RANKED = f"""
{SCORED}
SELECT run_id, score, row_number() OVER (ORDER BY score DESC) FROM scored
"""
RUNS = """
SELECT id, CAST(config AS TEXT), CAST(tags AS TEXT), name, status, config_hash,
    tokens_in, tokens_out, duration_ms, cost_usd, error, created_at, started_at,
    finished_at, updated_at
FROM runs WHERE experiment_id = ? ORDER BY created_at NULLS FIRST, id
"""
FIELDS = (
    "weighted_score", "rank", "name", "status", "config_hash", "tokens_in",
    "tokens_out", "duration_ms", "cost_usd", "error", "created_at", "started_at",
    "finished_at", "updated_at",
)  # fmt: skip
"""What a run has besides its id, config and tags, in the order of the statements."""

TIMES = FIELDS[-4:]

SCORES = """
SELECT run_id, scorer_name, value FROM runs JOIN scores ON scores.run_id = runs.id
WHERE experiment_id = ? ORDER BY created_at NULLS FIRST, runs.id
"""
STAGES = """
SELECT run_id, stage_name, output, stage.tokens_in, stage.tokens_out, stage.duration_ms
FROM runs JOIN stage_results AS stage ON run_id = runs.id
WHERE experiment_id = ? ORDER BY created_at NULLS FIRST, runs.id
"""
STAGE_FIELDS = ("stage_name", "output", "tokens_in", "tokens_out", "duration_ms")

TOGETHER = 1000
"""Runs in a record batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run's cells, `config` and `tags` as JSON text."""

    id: object
    config: str
    tags: str | None
    fields: tuple[Any, ...]
    scores: dict[str, float]
    stages: list[dict[str, Any]]


def ndjson(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Write a line for each run, its config and its tags as they are stored."""
    with _opened(url) as session, tempfile.TemporaryFile() as file:
        for run in _runs(session, experiment, weights):
            line = json.dumps(
                {
                    "run_id": str(run.id),
                    **dict(zip(FIELDS, run.fields, strict=True)),
                    "scores": run.scores,
                    "stage_results": run.stages,
                },
                default=str,
            )
            tags = run.tags or "null"
            file.write(
                f'{line[:-1]}, "config": {run.config}, "tags": {tags}}}\n'.encode()
            )


def table(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Write a row for each run, with a column for each leaf of its config."""
    with _opened(url) as session, tempfile.TemporaryFile() as file:
        writer = _writer(file)
        for run in _runs(session, experiment, weights):
            leaves = _leaves("config", json.loads(run.config))
            writer.writerow(
                [run.id, run.tags, *run.fields, *leaves.values(), *run.scores.values()]
            )


def parquet(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Write a column for each field, leaf and scorer, compressed by zstd."""
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415  an extra

    with _opened(url) as session, tempfile.TemporaryFile() as file:
        batches = _record_batches(_runs(session, experiment, weights))
        first = next(batches)
        with ParquetWriter(file, first.schema, compression="zstd") as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def arrow(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Write a stream of record batches."""
    import pyarrow as pa  # noqa: PLC0415  an extra

    with _opened(url) as session, tempfile.TemporaryFile() as file:
        batches = _record_batches(_runs(session, experiment, weights))
        first = next(batches)
        with pa.ipc.new_stream(file, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def scan(url: str, experiment: UUID) -> None:
    """Read each score once and throw it away."""
    with _opened(url) as session:
        for _ in session.stream(SCORES, session.key(experiment)):
            pass


def aggregate(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Find the winner by the plainest statement there is."""
    with _opened(url) as session:
        session.all(
            BEST.format(weights=_cases(weights)),
            session.key(experiment),
        )


def change(url: str, experiment: UUID) -> None:
    """Commit something, so that nothing that was kept holds any more."""
    with writing(open_for_writing(url)) as session:
        session.run(
            # SQLite writes nothing where a row stays the same.
            "UPDATE experiments SET status = CASE status WHEN 'running' "
            "THEN 'completed' ELSE 'running' END WHERE id = ?",
            session.key(experiment),
        )


@contextmanager
def _opened(url: str) -> Iterator[Session]:
    database = open_for_reading(url)
    with reading(database) as session:
        yield session
    database.close()


def _runs(
    session: Session, experiment: UUID, weights: Mapping[str, float]
) -> Iterator[Run]:
    """Merge the runs with their scores and stage results, all in the same order."""
    key = session.key(experiment)
    ranked = session.stream(RANKED.format(weights=_cases(weights)), key)
    places = {run: (score, rank) for run, score, rank in ranked}
    scores = _ByRun(session.stream(SCORES, key))
    stages = _ByRun(session.stream(STAGES, key))
    for run, config, tags, *fields in session.stream(RUNS, key):
        yield Run(
            id=run,
            config=config,
            tags=tags,
            fields=(*places.get(run, (None, None)), *fields),
            scores={name: value for _, name, value in scores.of(run)},
            stages=[
                dict(zip(STAGE_FIELDS, cells, strict=True))
                for _, *cells in stages.of(run)
            ],
        )


class _ByRun:
    """Rows that begin with the id of a run, grouped by it."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, run: object) -> list[Row]:
        """Return the rows of a run, which is asked for in the order of the rows."""
        if self._next is None or self._next[0] != run:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _cases(weights: Mapping[str, float]) -> str:
    return " ".join(f"WHEN '{name}' THEN {weight}" for name, weight in weights.items())


def _writer(file: IO[bytes]) -> Any:  # noqa: ANN401  csv has no name for it
    return csv.writer(
        io.TextIOWrapper(file, encoding="utf-8", newline=""), quoting=csv.QUOTE_ALL
    )


def _leaves(path: str, value: Any) -> dict[str, object]:  # noqa: ANN401  any JSON
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, object] = {}
    for key, below in value.items():
        found |= _leaves(f"{path}.{key}", below)
    return found


def _record_batches(runs: Iterator[Run]) -> Iterator[Any]:
    """Yield the runs by column, typed as the first ones are."""
    import pyarrow as pa  # noqa: PLC0415  an extra

    schema = None
    while some := list(islice(runs, TOGETHER)):
        batch = pa.RecordBatch.from_pylist([*map(_cells, some)], schema=schema)
        schema = batch.schema
        yield batch


def _cells(run: Run) -> dict[str, object]:
    fields = dict(zip(FIELDS, run.fields, strict=True))
    for name in TIMES:
        if isinstance(fields[name], str):
            fields[name] = datetime.fromisoformat(fields[name])
    return {
        "run_id": str(run.id),
        **fields,
        **_leaves("config", json.loads(run.config)),
        "config": run.config,
        "tags": run.tags,
        **{f"scores.{name}": value for name, value in run.scores.items()},
        "stage_results": run.stages,
    }
