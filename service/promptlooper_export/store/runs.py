"""All runs of an experiment as a stream, or a page of them.

The order of runs is by the time at which they were created, those without one first,
then by id. A page begins after a run that the client names.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from uuid import UUID

from promptlooper_export.documents import Notice, Runs
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.runs import Columns, RunBatch, StageResult
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.completed import exact_scores
from promptlooper_export.store.connection import Row, Session
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.judgements import judged_cases, judgements
from promptlooper_export.store.ranking import ScoreReader
from promptlooper_export.store.refusals import refusals
from promptlooper_export.store.rows import (
    COMPLETED,
    row_id,
)
from promptlooper_export.store.run_batch import COLUMNS, run_batch, stage_batch

ORDER = "ORDER BY created NULLS FIRST, id"

# A pair with a NULL compares as NULL, hence a condition of its own after a run without
# a time: all runs with one come after it, and of the others those with a larger id.
_DATED = "AND (created, id) > (SELECT created, id FROM {runs} AS last WHERE id {run})"
_UNDATED = (
    "AND (created IS NOT NULL OR id > (SELECT id FROM {runs} AS last WHERE id {run}))"
)

_LAST_RUN = """
SELECT created IS NULL FROM {runs} AS run WHERE id {run} AND experiment_id {experiment}
"""

_UNLIMITED = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which runs: `sql` is what follows FROM, and `values` are its placeholders'."""

    sql: str
    values: tuple[object, ...]
    limit: int

    def count(self, session: Session) -> int:
        """Return how many runs there are on the page."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {self.sql} LIMIT ?) AS page"
        (count,) = session.one(sql, *self.values, self.limit) or (0,)
        return int(count)

    def completed(self, session: Session) -> int:
        """Return how many completed runs there are from the page's first run on."""
        sql = f"SELECT count(*) FROM {self.sql} AND status = 'completed'"
        (count,) = session.one(sql, *self.values) or (0,)
        return int(count)

    def last(self, session: Session) -> UUID | None:
        """Return the last run on the page; None if no run comes after it."""
        if self.limit == _UNLIMITED:
            return None
        # The last run of the page and the one after it, which shows that there is one.
        sql = f"SELECT id FROM {self.sql} {ORDER} LIMIT 2 OFFSET ?"
        keys = [key for (key,) in session.all(sql, *self.values, self.limit - 1)]
        return row_id(keys[0], "runs") if len(keys) > 1 else None


def page(
    session: Session,
    catalog: Catalog,
    experiment: UUID,
    *,
    limit: int | None,
    after: UUID | None,
) -> Page:
    """Return the page of `limit` runs after the run `after`, else from the first.

    Raises InvalidParameterError if `after` is not a run of the experiment.
    """
    clause, values = catalog.id("runs.experiment_id", experiment)
    sql = f"{catalog.runs} AS run WHERE experiment_id {clause}"
    if after is not None:
        run, run_values = catalog.id("runs.id", after)
        names = {"runs": catalog.runs, "run": run, "experiment": clause}
        found = session.one(_LAST_RUN.format(**names), *run_values, *values)
        if found is None:
            detail = (
                "The run in 'after' is not one of this experiment, or not there any "
                "more: begin without it."
            )
            raise InvalidParameterError(detail, parameter="after")
        (is_undated,) = found
        sql = f"{sql} {(_UNDATED if is_undated else _DATED).format(**names)}"
        values = [*values, *run_values]
    return Page(
        sql=sql, values=tuple(values), limit=_UNLIMITED if limit is None else limit
    )


BATCH = 500
"""Runs whose scores and stage results are read together, if they are short."""

_FIRST_BATCH = 50
_TEXT_TOGETHER = 4 << 20
"""Characters of a batch after which the next one has half as many runs."""

NAMED = 10
"""How many warnings of one kind are given; the rest are summed up."""

_RUNS = f"SELECT {', '.join(COLUMNS)} FROM {{page}} {ORDER} LIMIT ?"

_STAGES = """
SELECT run_id, stage_name, output, tokens_in, tokens_out, duration_ms
FROM {stages} AS stage WHERE run_id IN ({marks}) ORDER BY place
"""


class _Warnings:
    """What there is to say about the runs, of each kind the first few.

    `notices` is the list that the document holds.
    """

    def __init__(self, notices: Sequence[Notice]) -> None:
        self.notices = list(notices)
        self._counts: Counter[str] = Counter()

    def add(self, notice: Notice) -> None:
        """Keep a notice, or only count it if there are enough of its kind."""
        self._counts[notice.code] += 1
        if self._counts[notice.code] <= NAMED:
            self.notices.append(notice)

    def close(self) -> None:
        """Say how many were only counted."""
        for code, count in self._counts.items():
            if count > NAMED:
                message = f"There are {count - NAMED} more warnings of this kind."
                self.notices.append(Notice(code=code, message=message))


def read_runs(
    session: Session,
    catalog: Catalog,
    row: ExperimentRow,
    *,
    limit: int | None,
    after: UUID | None,
    columns: Columns | None,
) -> Runs:
    """Return runs of an experiment; they are read while the document is.

    Raises InvalidParameterError if `after` is not a run of the experiment.
    """
    warnings = _Warnings(row.warnings)
    wanted = page(session, catalog, row.experiment.id, limit=limit, after=after)
    return Runs(
        experiment=row.experiment,
        count=wanted.count(session),
        last=wanted.last(session),
        batches=_batches(session, catalog, row, wanted, warnings),
        found_columns=columns,
        warnings=warnings.notices,
    )


def _batches(
    session: Session,
    catalog: Catalog,
    row: ExperimentRow,
    wanted: Page,
    warnings: _Warnings,
) -> Iterator[RunBatch]:
    """Read the runs in their order, each with its judgements and stage results."""
    # The code of a format asks for the runs: the driver's error must be ours before it
    # passes through, or it would count as the format's failure.
    with refusals():
        places = _places(session, catalog, row, wanted)
        sql = _RUNS.format(page=wanted.sql)
        rows = session.stream(sql, *wanted.values, wanted.limit)
        # Scores and stages of a batch in one query each, instead of one for each run.
        size = _FIRST_BATCH
        while batch := list(islice(rows, size)):
            keys = [key for key, *_ in batch]
            judged = judgements(session, catalog, keys)
            cases = judged_cases(session, catalog, keys)
            stages = _stages(session, catalog, keys, warnings)
            # Runs are about as long as those before them: a batch of long ones is
            # halved, so that memory does not grow with what runs hold.
            held = _characters(batch, stages.values())
            size = max(1, size // 2) if held > _TEXT_TOGETHER else min(BATCH, 2 * size)
            yield run_batch(
                batch,
                # Both streams are in the same order and of the same snapshot: the next
                # place is that of the next completed run, without a look for its id.
                [
                    next(places) if status == COMPLETED else (None, None)
                    for _, _, status, *_ in batch
                ],
                [judged[key] for key in keys],
                [cases.get(key, {}) for key in keys],
                [tuple(stages[key]) for key in keys],
                warnings.add,
            )
    warnings.close()


def _characters(rows: Iterable[Row], stages: Iterable[list[StageResult]]) -> int:
    held = sum(len(cell) for row in rows for cell in row if isinstance(cell, str))
    return held + sum(len(one.output or "") for one in chain.from_iterable(stages))


def _places(
    session: Session, catalog: Catalog, row: ExperimentRow, wanted: Page
) -> Iterator[tuple[float | None, int | None]]:
    """Yield the weighted score and the rank of each completed run of the page.

    Of every run of the experiment a few bytes are held: a rank is among all of them.
    """
    experiment = row.experiment.id
    reader = ScoreReader(session, catalog, experiment)
    # An array takes 8 bytes a run. NaN stands for a run that does not count.
    scores = array(
        "d",
        (
            math.nan if score is None else score
            for score in exact_scores(reader, row.rules)
        ),
    )
    # The sort is stable, and the scores are in the order of the runs: of a tie, the
    # older run stays first, then the smaller id, as the winner's rule has it.
    best_first = sorted(
        (place for place, score in enumerate(scores) if not math.isnan(score)),
        key=lambda place: -scores[place],
    )
    ranks = array("q", bytes(8 * len(scores)))
    for rank, place in enumerate(best_first, start=1):
        ranks[place] = rank
    # The rows that follow may take minutes to render.
    del best_first
    # `completed` counts from the page's first run to the experiment's last, so the
    # page's own places begin that many before the end.
    for place in range(len(scores) - wanted.completed(session), len(scores)):
        yield (scores[place], ranks[place]) if ranks[place] else (None, None)


def _stages(
    session: Session, catalog: Catalog, keys: Sequence[object], warnings: _Warnings
) -> dict[object, list[StageResult]]:
    """Return the stage results of runs, by the runs' ids as stored."""
    stages: dict[object, list[StageResult]] = {key: [] for key in keys}
    owners = catalog.owners(session, "stage_results", keys)
    marks = ", ".join("?" * len(owners))
    sql = _STAGES.format(stages=catalog.stage_results, marks=marks)
    rows = session.all(sql, *owners)
    for owner, stage in stage_batch(rows, owners, warnings.add):
        stages[owner].append(stage)
    return stages
