"""Every run of several experiments as one table in parts, for a dataset of files.

Folders are named as Hive has it, `experiment=ID` and `day=2026-01-31`, so that readers
make columns of them. All parts have the same columns with the same types, those that
the runs have together: most engines take the schema of one file for that of all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from promptlooper_export.documents import Notice, Runs
from promptlooper_export.errors import TableTooWideError, UnrepresentableError
from promptlooper_export.export import Limits, export_document
from promptlooper_export.redaction import redact
from promptlooper_export.registry import AnyFormat
from promptlooper_export.runs import Columns, RunBatch, ValueKind
from promptlooper_export.spool import Body
from promptlooper_export.store.snapshot import Snapshot
from promptlooper_export.store.table import require_width

By: TypeAlias = Literal["experiment", "day"]
BYS: tuple[By, ...] = get_args(By)

NO_DAY = "__HIVE_DEFAULT_PARTITION__"
"""What stands for null in the name of a folder; Hive's readers know it."""

_STEM = "promptlooper-runs"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Runs of one experiment, all of them or those of one day, as a file.

    `path` is relative to the dataset's folder. A day is that of `created_at` in UTC.
    """

    path: str
    experiment: UUID
    rows: int
    body: Body


def parts(
    snapshot: Snapshot,
    experiments: Sequence[UUID],
    format: AnyFormat,
    *,
    by: By,
    redacted: bool,
    limits: Limits,
) -> Iterator[Part | Notice]:
    """Yield the runs of the experiments, each body before the next one is rendered.

    An experiment without runs has a part by experiment, and none by day. Raises
    ExperimentNotFoundError, TableTooWideError if the runs together have too many
    columns, and what `export_document` raises.
    """
    columns = _together(
        snapshot.runs(experiment, redacted=redacted).columns
        for experiment in experiments
    )
    for experiment in experiments:
        found = snapshot.runs(experiment, with_columns=False)
        runs = replace(found, found_columns=columns)
        if redacted:
            runs = redact(runs)
        try:
            yield from _rendered(runs, format, by, limits)
        except UnrepresentableError as error:
            # The column alone would not tell which of the experiments it is about.
            error.detail = f"Experiment {experiment}: {error.detail}"
            raise
        # Not all were known before.
        yield from runs.warnings


def _together(found: Iterable[Columns]) -> Columns:
    """Return the columns that tables with these columns have together."""
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    scorers: set[str] = set()
    for columns in found:
        scorers.update(columns.scores)
        for path in columns.config:
            kinds[path] |= columns.kinds[path]
        _require_width((*kinds, *scorers))
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(scorers)),
        kinds={path: frozenset(values) for path, values in kinds.items()},
    )


def _require_width(names: Iterable[str]) -> None:
    try:
        require_width(names)
    except TableTooWideError as error:
        detail = (
            "Together, the experiments have too many different keys and scorers for "
            "one table; name fewer of them."
        )
        raise TableTooWideError(detail, **error.members) from error


def _rendered(runs: Runs, format: AnyFormat, by: By, limits: Limits) -> Iterator[Part]:
    experiment = runs.experiment.id
    folder = f"experiment={experiment}"
    if by == "experiment":
        yield _part(runs, runs.batches, format, folder, limits)
        return
    times: Counter[str] = Counter()
    for day, pieces in groupby(_by_day(runs.batches), key=itemgetter(0)):
        name = NO_DAY if day is None else day.isoformat()
        times[name] += 1
        batches = (batch for _, batch in pieces)
        yield _part(
            runs, batches, format, f"day={name}/{folder}", limits, number=times[name]
        )


def _by_day(batches: Iterable[RunBatch]) -> Iterator[tuple[date | None, RunBatch]]:
    """Yield the runs some at a time, together only if they are of one day."""
    for batch in batches:
        start = 0
        for day, moments in groupby(batch.created_at, key=_day):
            stop = start + sum(1 for _ in moments)
            yield day, batch[start:stop]
            start = stop


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _part(
    runs: Runs,
    batches: Iterable[RunBatch],
    format: AnyFormat,
    folder: str,
    limits: Limits,
    *,
    number: int = 1,
) -> Part:
    """Render some of the runs; `number` is 1 unless the folder has a file already.

    It may have one if its runs do not follow each other: those with a time that is too
    early for a datetime and those with one that is too late are both without a day.
    """
    rows = 0

    def counted() -> Iterator[RunBatch]:
        nonlocal rows
        for batch in batches:
            rows += len(batch)
            yield batch

    # Redacted before, and warned of after the last part.
    some = replace(runs, batches=counted(), warnings=())
    body = export_document(some, format, {}, redacted=False, limits=limits)
    stem = _STEM if number == 1 else f"{_STEM}-{number}"
    return Part(
        path=f"{folder}/{stem}.{format.extension}",
        experiment=runs.experiment.id,
        rows=rows,
        body=body,
    )
