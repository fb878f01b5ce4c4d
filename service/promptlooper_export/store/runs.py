"""The runs document: every run, in constant memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeAlias
from uuid import UUID

from promptlooper_export.documents import (
    JSON,
    Columns,
    Notice,
    Run,
    Runs,
    StageResult,
)
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.plugin import flatten
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.cells import UNKNOWN, Cells, label, row_id
from promptlooper_export.store.database import Row, Session, refusals
from promptlooper_export.store.ranking import (
    is_finite,
    judgements,
    mean,
    not_finite,
    ranked,
)
from promptlooper_export.store.values import json_value

BATCH = 500
"""Runs whose scores and stage results are read together."""

NAMED = 10
"""How many warnings of one kind are given; the rest are summed up."""

_COUNT = "SELECT count(*) FROM runs WHERE experiment_id = ?"

_RUNS = """
SELECT
    id, name, status, CAST(config AS TEXT), config_hash,
    tokens_in, tokens_out, duration_ms, cost_usd, error, CAST(tags AS TEXT),
    created_at, started_at, finished_at, updated_at
FROM runs WHERE experiment_id = ?
ORDER BY created_at, id
"""

# In the order of the runs, to be read beside them: SQLite has no good plan for a join.
_PLACES = """
SELECT run_id, weighted_score, rank
FROM (
    SELECT
        run_id, weighted_score,
        row_number() OVER (ORDER BY weighted_score DESC, created, run_id) AS rank
    FROM ({ranked}) AS ranked
    WHERE weighted_score IS NOT NULL
) AS place
CROSS JOIN runs
WHERE runs.id = place.run_id
ORDER BY created_at, id
"""

_STAGES = """
SELECT run_id, stage_name, output, tokens_in, tokens_out, duration_ms
FROM stage_results WHERE run_id IN ({}) ORDER BY id
"""

_CONFIGS = "SELECT id, CAST(config AS TEXT) FROM runs WHERE experiment_id = ?"

_SCORERS = """
SELECT DISTINCT scorer_name FROM scores
WHERE run_id IN (SELECT id FROM runs WHERE experiment_id = ?)
    AND value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308
"""


_Read: TypeAlias = tuple[Row, Mapping[str, Sequence[object]], tuple[StageResult, ...]]


class _Warnings:
    """What there is to say about the runs, of each kind the first few.

    `notices` is the list that the document holds.
    """

    def __init__(self, notices: Sequence[Notice]) -> None:
        self.notices = list(notices)
        self._counts: Counter[str] = Counter()

    def add(self, notice: Notice) -> None:
        """Keep a notice, or only count it where there are enough of its kind."""
        self._counts[notice.code] += 1
        if self._counts[notice.code] <= NAMED:
            self.notices.append(notice)

    def close(self) -> None:
        """Say how many were only counted."""
        for code, count in self._counts.items():
            if count > NAMED:
                message = f"There are {count - NAMED} more warnings of this kind."
                self.notices.append(Notice(code=code, message=message))


def document(session: Session, row: ExperimentRow) -> Runs:
    """Return the runs of an experiment; they are read while the document is."""
    warnings = _Warnings(row.warnings)
    (count,) = session.one(_COUNT, session.key(row.experiment.id)) or (0,)
    return Runs(
        experiment=row.experiment,
        count=count,
        rows=_rows(session, row, warnings),
        find_columns=partial(_columns, session, row),
        warnings=warnings.notices,
    )


def _rows(session: Session, row: ExperimentRow, warnings: _Warnings) -> Iterator[Run]:
    ranking, keys = ranked(session, row)
    with refusals():
        places = session.stream(_PLACES.format(ranked=ranking), *keys)
        place = next(places, None)
        for values, judged, stages in _batches(session, row, warnings):
            run_id = row_id(values[0], "runs")
            weighted_score = rank = None
            if place is not None and place[0] == values[0]:
                _, weighted_score, rank = place
                place = next(places, None)
            scores = dict(_scores(run_id, judged, warnings))
            yield _run(values, (weighted_score, rank), scores, stages, warnings)
    if place is not None:
        msg = f"run {place[0]} is ranked, but not where it was looked for"
        raise RuntimeError(msg)
    warnings.close()


def _batches(
    session: Session, row: ExperimentRow, warnings: _Warnings
) -> Iterator[_Read]:
    """Read the runs in their order, each with its judgements and stage results."""
    rows = session.stream(_RUNS, session.key(row.experiment.id))
    while batch := list(islice(rows, BATCH)):
        ids = [row_id(values[0], "runs") for values in batch]
        judged = judgements(session, ids)
        stages = _stages(session, ids, warnings)
        for run_id, values in zip(ids, batch, strict=True):
            yield values, judged[run_id], tuple(stages[run_id])


def _scores(
    run_id: UUID, judged: Mapping[str, Sequence[object]], warnings: _Warnings
) -> Iterator[tuple[str, float]]:
    for scorer, values in sorted(judged.items()):
        finite = [value for value in values if is_finite(value)]
        for value in values:
            if not is_finite(value):
                warnings.add(not_finite(run_id, scorer, value))
        if finite:
            yield scorer, mean(finite)


def _run(
    values: Row,
    place: tuple[float | None, int | None],
    scores: Mapping[str, float],
    stages: tuple[StageResult, ...],
    warnings: _Warnings,
) -> Run:
    (
        key, name, status, config, config_hash,
        tokens_in, tokens_out, duration_ms, cost_usd, error, tags,
        created_at, started_at, finished_at, updated_at,
    ) = values  # fmt: skip
    run_id = row_id(key, "runs")
    weighted_score, rank = place
    cells = Cells(f"run {run_id}", warnings.add)
    decoded_tags, notices = json_value(tags, "tags")
    for notice in notices:
        warnings.add(notice)
    return Run(
        run_id=run_id,
        name=cells.text("name", name),
        status=cells.required_text("status", status, instead=UNKNOWN),
        weighted_score=weighted_score,
        rank=rank,
        config=_config(config, run_id, warnings),
        config_hash=cells.required_text("config_hash", config_hash),
        scores=scores,
        tokens_in=cells.whole("tokens_in", tokens_in),
        tokens_out=cells.whole("tokens_out", tokens_out),
        duration_ms=cells.whole("duration_ms", duration_ms),
        cost_usd=cells.number("cost_usd", cost_usd),
        error=cells.text("error", error),
        tags=decoded_tags,
        stage_results=stages,
        created_at=cells.required_time("created_at", created_at),
        started_at=cells.time("started_at", started_at),
        finished_at=cells.time("finished_at", finished_at),
        updated_at=cells.required_time("updated_at", updated_at),
    )


def _config(
    text: str | None, run_id: UUID, warnings: _Warnings
) -> Mapping[str, JSON] | None:
    """Decode a config; one that is not valid is named and stands as None."""
    try:
        config, notices = decode_config(text, run_id)
    except InvalidConfigError as error:
        warnings.add(Notice(code=error.slug, message=error.detail, path="config"))
        return None
    for notice in notices:
        warnings.add(notice)
    return config


def _stages(
    session: Session, runs: Sequence[UUID], warnings: _Warnings
) -> dict[UUID, list[StageResult]]:
    stages: dict[UUID, list[StageResult]] = {run: [] for run in runs}
    marks = ", ".join("?" * len(runs))
    for key, name, output, tokens_in, tokens_out, duration_ms in session.all(
        _STAGES.format(marks), *map(session.key, runs)
    ):
        run_id = row_id(key, "stage_results")
        cells = Cells(f"a stage of run {run_id}", warnings.add)
        stage = StageResult(
            stage_name=cells.required_text("stage_name", name),
            output=cells.text("output", output),
            tokens_in=cells.whole("tokens_in", tokens_in),
            tokens_out=cells.whole("tokens_out", tokens_out),
            duration_ms=cells.whole("duration_ms", duration_ms),
        )
        stages[run_id].append(stage)
    return stages


def _columns(session: Session, row: ExperimentRow) -> Columns:
    key = session.key(row.experiment.id)
    unread = _Warnings(())  # the rows say it all, too
    with refusals():
        paths = {
            str(path)
            for run_id, text in session.stream(_CONFIGS, key)
            for path, _ in flatten(_config(text, row_id(run_id, "runs"), unread) or {})
        }
        scorers = {label(name) for (name,) in session.all(_SCORERS, key)}
    return Columns(config=tuple(sorted(paths)), scores=tuple(sorted(scorers)))
