"""The reference for full exports: the driver's rows and the plainest writers there are.

They check nothing: no secret, no NaN, no repeated key, no text that cannot be written.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import IO, Any
from uuid import UUID

from promptlooper_export.store.connection import (
    Session,
    open_for_reading,
    open_for_writing,
    reading,
    writing,
)

RUNS = """
SELECT id, name, status, CAST(config AS TEXT), config_hash, tokens_in, tokens_out,
    duration_ms, cost_usd, error, created_at
FROM runs WHERE experiment_id = ? ORDER BY created_at, id
"""
SCORES = """
SELECT run_id, scorer_name, value FROM runs JOIN scores ON scores.run_id = runs.id
WHERE experiment_id = ? ORDER BY created_at, runs.id
"""
NAMES = (
    "run_id", "name", "status", "config", "config_hash", "tokens_in", "tokens_out",
    "duration_ms", "cost_usd", "error", "created_at",
)  # fmt: skip


def ndjson(url: str, experiment: UUID) -> None:
    """Write a line for each run, its config as it is stored."""
    with _opened(url) as session, tempfile.TemporaryFile() as file:
        for run, scores in _rows(session, experiment):
            fields = dict(zip(NAMES, run, strict=True))
            config = fields.pop("config")
            line = json.dumps({**fields, "scores": scores}, default=str)
            file.write(f'{line[:-1]}, "config": {config}}}\n'.encode())


def table(url: str, experiment: UUID) -> None:
    """Write a row for each run, with a column for each leaf of its config."""
    with _opened(url) as session, tempfile.TemporaryFile() as file:
        writer = _writer(file)
        for run, scores in _rows(session, experiment):
            config = json.loads(run[3])
            leaves = list(_leaves(config))
            writer.writerow([*run[:3], *leaves, *run[4:], *scores.values()])


def fetch(url: str, experiment: UUID) -> None:
    """Read the rows and throw them away."""
    with _opened(url) as session:
        for _ in _rows(session, experiment):
            pass


def scan(url: str, experiment: UUID) -> None:
    """Read each score once and throw it away."""
    with _opened(url) as session:
        for _ in session.stream(SCORES, session.key(experiment)):
            pass


@contextmanager
def _opened(url: str) -> Iterator[Session]:
    database = open_for_reading(url)
    with reading(database) as session:
        yield session
    database.close()


def _writer(file: IO[bytes]) -> Any:  # noqa: ANN401  csv has no name for it
    return csv.writer(
        io.TextIOWrapper(file, encoding="utf-8", newline=""), quoting=csv.QUOTE_ALL
    )


def _leaves(config: dict[str, Any]) -> Iterator[object]:
    for value in config.values():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield value


def _rows(
    session: Session, experiment: UUID
) -> Iterator[tuple[tuple[Any, ...], dict[str, float]]]:
    """Merge the runs with their scores, in the order of both."""
    key = session.key(experiment)
    judged = groupby(session.stream(SCORES, key), key=itemgetter(0))
    owner, scores = next(judged, (None, iter(())))
    for run in session.stream(RUNS, key):
        found = {}
        if run[0] == owner:
            found = {name: value for _, name, value in scores}
            owner, scores = next(judged, (None, iter(())))
        yield run, found


AGGREGATE = """
WITH judged AS (
    SELECT run_id, scorer_name, avg(value) AS value
    FROM runs JOIN scores ON run_id = runs.id
    WHERE experiment_id = ? AND status = 'completed' AND value BETWEEN -1e308 AND 1e308
    GROUP BY run_id, scorer_name
)
SELECT
    run_id,
    sum(value * CASE scorer_name {weights} ELSE 0 END)
        / sum(CASE scorer_name {weights} ELSE 0 END) AS score
FROM judged GROUP BY run_id ORDER BY score DESC LIMIT 2
"""


def aggregate(url: str, experiment: UUID, weights: Mapping[str, float]) -> None:
    """Find the winner by the plainest statement there is, in native arithmetic."""
    cases = " ".join(f"WHEN '{name}' THEN {weight}" for name, weight in weights.items())
    with _opened(url) as session:
        session.all(AGGREGATE.format(weights=cases), session.key(experiment))


def change(url: str, experiment: UUID) -> None:
    """Commit something, so that nothing that was kept holds any more."""
    with writing(open_for_writing(url)) as session:
        session.run(
            # SQLite writes nothing where a row stays the same.
            "UPDATE experiments SET status = CASE status WHEN 'running' "
            "THEN 'completed' ELSE 'running' END WHERE id = ?",
            session.key(experiment),
        )
