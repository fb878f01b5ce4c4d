"""Find and list the experiments that a viewer may see.

What is missing and what is not theirs to see is one case: the query gives no row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from promptlooper_export.documents import Experiment, Notice
from promptlooper_export.errors import ExperimentNotFoundError, UsageError
from promptlooper_export.store.cells import UNKNOWN, Cells, row_id
from promptlooper_export.store.database import Session
from promptlooper_export.store.values import json_value
from promptlooper_export.store.visibility import Visibility

_EXPERIMENT = """
SELECT
    id, name, description, status,
    CAST(parameter_space AS TEXT), CAST(scoring_config AS TEXT),
    created_at, updated_at,
    EXISTS (SELECT 1 FROM export_ranking_log),
    EXISTS (SELECT 1 FROM export_ranking_stale WHERE experiment_id = experiments.id),
    (SELECT sum(number) FROM export_revision WHERE experiment_id = experiments.id)
FROM experiments
WHERE id = ? AND {visible}
"""

_LAST_RUN = "SELECT max(updated_at) FROM runs WHERE experiment_id = ?"

_EXPERIMENT_OF = "SELECT experiment_id FROM runs WHERE id = ?"

_IS_VISIBLE = "SELECT 1 FROM experiments WHERE id = ? AND {visible}"

# The order of the list, as a number or time: SQLite holds text of several spellings.
# What is no time comes last.
_POSITION = {
    "sqlite": """coalesce(
        strftime(
            '%s',
            substr(created_at, 1, 19) || ltrim(substr(created_at, 20), '.0123456789')
        ) + CAST('0' || substr(created_at, 20) AS REAL),
        -9e999
    )""",
    "postgresql": "created_at",
}

# Runs are counted for the page only. SQLite may hold anything in the place of an id:
# nothing but an id can be asked for.
_PAGE = """
WITH visible AS (
    SELECT id, name, status, created_at, {position} AS position
    FROM experiments
    WHERE {is_id} AND {visible}
),
page AS (
    SELECT * FROM visible
    WHERE ?
        OR position < (SELECT position FROM visible WHERE id = ?)
        OR (position = (SELECT position FROM visible WHERE id = ?) AND id > ?)
    ORDER BY position DESC, id
    LIMIT ?
)
SELECT
    id, name, status,
    (SELECT count(*) FROM runs WHERE experiment_id = page.id),
    created_at
FROM page
ORDER BY position DESC, id
"""

_NAMES = "SELECT id, name FROM experiments WHERE {is_id} AND {visible}"

_IS_ID = {
    "sqlite": "typeof(id) = 'text' AND length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'",
    "postgresql": "TRUE",
}

_ALL = (1 << 63) - 1

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_HEX = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, kw_only=True)
class ExperimentSummary:
    """A line of the list of experiments."""

    id: UUID
    name: str
    status: str
    runs: int
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """An experiment as read.

    `logged`: runs may not be folded into its ranking yet; `stale`: its ranking waits to
    be rebuilt after new weights. `revision` is another number after every change to the
    experiment, its runs, their scores and stage results.
    """

    experiment: Experiment
    warnings: tuple[Notice, ...]
    logged: bool
    stale: bool
    revision: int


def experiment(session: Session, sight: Visibility, wanted: UUID) -> ExperimentRow:
    """Read one experiment; raise ExperimentNotFoundError where there is none to see."""
    key = session.key(wanted)
    visible = sight.of_one(key)
    row = session.one(_EXPERIMENT.format(visible=visible.sql), key, *visible.values)
    if row is None:
        raise ExperimentNotFoundError
    parameter_space, space_notices = json_value(row[4], "parameter_space")
    scoring_config, scoring_notices = json_value(row[5], "scoring_config")
    warnings = [*space_notices, *scoring_notices]
    cells = Cells("the experiment", warnings.append)
    return ExperimentRow(
        experiment=Experiment(
            id=UUID(str(row[0])),
            name=cells.required_text("name", row[1]),
            description=cells.text("description", row[2]),
            status=cells.required_text("status", row[3], instead=UNKNOWN),
            parameter_space=parameter_space,
            scoring_config=scoring_config,
            created_at=cells.required_time("created_at", row[6]),
            updated_at=cells.required_time("updated_at", row[7]),
        ),
        warnings=tuple(warnings),
        logged=bool(row[8]),
        stale=bool(row[9]),
        revision=int(row[10] or 0),
    )


def last_change(session: Session, row: ExperimentRow) -> datetime:
    """Return when the experiment's data say that they changed last.

    The latest `updated_at` of the experiment and its runs. It comes from the data, not
    from a clock or the revision, so that the same data give the same time in whichever
    database they are, also after an import; an index on runs makes it a look-up. What
    changes without its run's `updated_at`, such as a late score, does not move it: the
    revision tells those apart. Where a time cannot be read, the other one counts, and
    1970 where neither can.
    """
    (latest,) = session.one(_LAST_RUN, session.key(row.experiment.id)) or (None,)
    unread: list[Notice] = []
    times = [
        row.experiment.updated_at,
        Cells("the runs", unread.append).time("updated_at", latest),
    ]
    return max((time for time in times if time is not None), default=_BEGINNING)


def experiments(
    session: Session,
    sight: Visibility,
    *,
    after: UUID | None = None,
    limit: int | None = None,
) -> Iterator[ExperimentSummary]:
    """Yield the experiments to be seen, newest first.

    With `after`, those behind it; with `limit`, so many at most. Raises
    ExperimentNotFoundError where `after` is none of them.
    """
    unread: list[Notice] = []  # an export of the experiment names what is odd
    last = None if after is None else session.key(after)
    visible = sight.of_rows()
    if last is not None:
        sql = _IS_VISIBLE.format(visible=visible.sql)
        if session.one(sql, last, *visible.values) is None:
            raise ExperimentNotFoundError
    sql = _PAGE.format(
        position=_POSITION[session.kind],
        is_id=_IS_ID[session.kind],
        visible=visible.sql,
    )
    for row in session.rows(
        sql, *visible.values, last is None, last, last, last, limit or _ALL
    ):
        cells = Cells("an experiment", unread.append)
        yield ExperimentSummary(
            id=UUID(str(row[0])),
            name=cells.required_text("name", row[1]),
            status=cells.required_text("status", row[2], instead=UNKNOWN),
            runs=row[3],
            created_at=cells.required_time("created_at", row[4]),
        )


def owner(session: Session, sight: Visibility, identity: UUID) -> UUID | None:
    """Return the experiment that has this id, or a run of this id."""
    key = session.key(identity)
    run = session.one(_EXPERIMENT_OF, key)
    candidate = key if run is None else run[0]
    visible = sight.of_rows()
    sql = _IS_VISIBLE.format(visible=visible.sql)
    if session.one(sql, candidate, *visible.values) is None:
        return None
    return row_id(candidate, "experiments")


def find(session: Session, sight: Visibility, reference: str) -> UUID:
    """Return the id that an id, the start of one, or a unique name stands for.

    Raises ExperimentNotFoundError for none and UsageError for several.
    """
    start = reference.lower().replace("-", "")
    visible = sight.of_rows()
    sql = _NAMES.format(is_id=_IS_ID[session.kind], visible=visible.sql)
    rows = ((UUID(str(key)), name) for key, name in session.rows(sql, *visible.values))
    found = {
        id_
        for id_, name in rows
        if name == reference or (_HEX.fullmatch(start) and id_.hex.startswith(start))
    }
    if not found:
        msg = (
            f"No experiment is named or begins with {reference!r}; "
            "see: promptlooper-export list"
        )
        raise ExperimentNotFoundError(msg)
    if len(found) > 1:
        ids = ", ".join(sorted(map(str, found))[:5])
        msg = (
            f"{reference!r} stands for {len(found)} experiments; give one id of: {ids}"
        )
        raise UsageError(msg)
    return found.pop()
