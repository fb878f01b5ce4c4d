"""The runs document: every run, in constant memory."""

from collections import Counter, defaultdict
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
    ValueKind,
)
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.plugin import leaves
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.cells import UNKNOWN, Cells, label, row_id
from promptlooper_export.store.database import Row, Session, refusals
from promptlooper_export.store.pages import ORDER, Page, page
from promptlooper_export.store.ranking import (
    is_finite,
    judgements,
    mean,
    not_finite,
    ranked,
)
from promptlooper_export.store.values import json_value

_EXACT = 1 << 53
_LONG = 1 << 63

BATCH = 500
"""Runs whose scores and stage results are read together."""

NAMED = 10
"""How many warnings of one kind are given; the rest are summed up."""

_RUNS = f"""
SELECT
    id, name, status, CAST(config AS TEXT), config_hash,
    tokens_in, tokens_out, duration_ms, cost_usd, error, CAST(tags AS TEXT),
    created_at, started_at, finished_at, updated_at
FROM runs WHERE {{page}}
{ORDER} LIMIT ?
"""

# In the order of the runs, to be read beside them: SQLite has no good plan for a join.
_PLACES = f"""
SELECT run_id, weighted_score, rank
FROM (
    SELECT
        run_id, weighted_score,
        row_number() OVER (ORDER BY weighted_score DESC, created, run_id) AS rank
    FROM ({{ranked}}) AS ranked
    WHERE weighted_score IS NOT NULL
) AS place
CROSS JOIN runs
WHERE runs.id = place.run_id {{on_page}}
{ORDER}
"""

_ON_PAGE = f"""
AND place.run_id IN (SELECT id FROM runs WHERE {{page}} {ORDER} LIMIT ?)
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


def document(
    session: Session, row: ExperimentRow, *, limit: int | None, after: UUID | None
) -> Runs:
    """Return runs of an experiment; they are read while the document is.

    Raises InvalidParameterError where `after` is no run of the experiment.
    """
    warnings = _Warnings(row.warnings)
    wanted = page(session, row.experiment.id, limit=limit, after=after)
    return Runs(
        experiment=row.experiment,
        count=wanted.count(session),
        last=wanted.last(session),
        rows=_rows(session, row, wanted, warnings),
        find_columns=partial(_columns, session, row),
        warnings=warnings.notices,
    )


def _rows(
    session: Session, row: ExperimentRow, wanted: Page, warnings: _Warnings
) -> Iterator[Run]:
    with refusals():
        places = _places(session, row, wanted)
        place = next(places, None)
        for values, judged, stages in _batches(session, wanted, warnings):
            weighted_score = rank = None
            if place is not None and place[0] == values[0]:
                _, weighted_score, rank = place
                place = next(places, None)
            yield _run(values, (weighted_score, rank), judged, stages, warnings)
    if place is not None:
        msg = f"run {place[0]} is ranked, but not where it was looked for"
        raise RuntimeError(msg)
    warnings.close()


def _places(session: Session, row: ExperimentRow, wanted: Page) -> Iterator[Row]:
    """Read the places of the runs on the page, in the order of the runs."""
    ranking, keys = ranked(session, row)
    if wanted.is_whole:
        return session.stream(_PLACES.format(ranked=ranking, on_page=""), *keys)
    sql = _PLACES.format(ranked=ranking, on_page=_ON_PAGE.format(page=wanted.sql))
    return session.stream(sql, *keys, *wanted.values, wanted.limit)


def _batches(session: Session, wanted: Page, warnings: _Warnings) -> Iterator[_Read]:
    """Read the runs in their order, each with its judgements and stage results."""
    sql = _RUNS.format(page=wanted.sql)
    rows = session.stream(sql, *wanted.values, wanted.limit)
    while batch := list(islice(rows, BATCH)):
        ids = [row_id(values[0], "runs") for values in batch]
        judged = judgements(session, ids)
        stages = _stages(session, ids, warnings)
        for run_id, values in zip(ids, batch, strict=True):
            yield values, judged[run_id], tuple(stages[run_id])


def _numbers(judged: Sequence[object]) -> tuple[float | None, ...]:
    return tuple([one if isinstance(one, int | float) else None for one in judged])


def _scores(
    run_id: UUID, judged: Mapping[str, Sequence[object]], warnings: _Warnings
) -> Iterator[tuple[str, float]]:
    for scorer, values in judged.items():
        finite = [value for value in values if is_finite(value)]
        for value in values:
            if not is_finite(value):
                warnings.add(not_finite(run_id, scorer, value))
        if finite:
            yield scorer, mean(finite)


def _run(
    values: Row,
    place: tuple[float | None, int | None],
    judged: Mapping[str, Sequence[object]],
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
    cells = Cells("run", warnings.add, row=run_id)
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
        scores=dict(_scores(run_id, judged, warnings)),
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
        judgements={scorer: _numbers(values) for scorer, values in judged.items()},
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
    owners = {session.key(run): run for run in runs}
    stages: dict[UUID, list[StageResult]] = {run: [] for run in runs}
    marks = ", ".join("?" * len(runs))
    for key, name, output, tokens_in, tokens_out, duration_ms in session.all(
        _STAGES.format(marks), *owners
    ):
        run_id = owners[key]
        cells = Cells("a stage of run", warnings.add, row=run_id)
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
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    with refusals():
        for run_id, text in session.stream(_CONFIGS, key):
            config = _config(text, row_id(run_id, "runs"), unread)
            for path, value in leaves(config or {}):
                kinds[path].add(_kind(value))
        scorers = {label(name) for (name,) in session.all(_SCORERS, key)}
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(scorers)),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )


def _kind(value: JSON) -> ValueKind:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "text"
        case float():
            return "number"
        case int():
            size = abs(value)
            return "integer" if size <= _EXACT else "long" if size < _LONG else "big"
    return "json"
