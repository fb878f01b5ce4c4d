"""The experiments that a viewer may see: one by its id, and pages of them.

A viewer sees an experiment that was granted to them or to one of their groups, or one
that was granted to nobody if `open_experiments` holds; admins see all. A token that is
narrowed to some experiments sees no other, not even an admin's. What is missing and
what is not theirs to see is one case: the query gives no row.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import Experiment, Notice
from promptlooper_export.errors import (
    ExperimentNotFoundError,
    UsageError,
)
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.columns import microseconds_of
from promptlooper_export.store.connection import Session
from promptlooper_export.store.rows import UNKNOWN, Cells, json_value, row_id
from promptlooper_export.store.scoring import Rules, rules
from promptlooper_export.viewer import Viewer

# In the order of the values: admin, granted to the viewer, open, granted, not narrowed,
# narrowed to. Each list is one value, so the statement is the same for any number.
_CONDITION = """
(? OR {id} {within} OR (? AND NOT {id} {within})) AND (? OR {id} {within})
"""

_WITHIN = {
    "sqlite": "IN (SELECT value FROM json_each(?))",
    "postgresql": "= ANY (CAST(? AS text[]))",
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition in SQL, and the values of its placeholders."""

    sql: str
    values: tuple[object, ...]


def may_see(
    viewer: Viewer,
    experiment: UUID,
    grantees: frozenset[str],
    *,
    open_experiments: bool,
) -> bool:
    """Return whether a viewer sees an experiment that was granted to `grantees`."""
    if viewer.experiments is not None and experiment not in viewer.experiments:
        return False
    if viewer.admin or not grantees.isdisjoint(_names_of(viewer)):
        return True
    return open_experiments and not grantees


def visible(
    catalog: Catalog,
    viewer: Viewer,
    grants: Mapping[UUID, frozenset[str]],
    *,
    open_experiments: bool,
) -> Condition:
    """Return the same rule as a condition on the rows of `experiment`."""
    names = _names_of(viewer)
    mine = (id_ for id_, held in grants.items() if not held.isdisjoint(names))

    def listed(ids: Iterable[UUID]) -> object:
        digits = [one.hex for one in ids]
        return json.dumps(digits) if catalog.kind == "sqlite" else digits

    return Condition(
        sql=_CONDITION.format(
            id=catalog.hex("experiments.id", "experiment.id"),
            within=_WITHIN[catalog.kind],
        ),
        values=(
            viewer.admin,
            listed(mine),
            open_experiments,
            listed(grants),
            viewer.experiments is None,
            listed(viewer.experiments or ()),
        ),
    )


def _names_of(viewer: Viewer) -> frozenset[str]:
    return frozenset(
        (f"user:{viewer.subject}", *(f"group:{name}" for name in viewer.groups))
    )


# Whether it may be seen is decided before, and costs the same either way.
_EXPERIMENT = """
SELECT
    name, description, status, parameter_space, scoring_config, created_at, updated_at
FROM {experiments} AS experiment
WHERE id {is_id} AND ?
"""

_LAST_RUN = "SELECT max({updated}) FROM {runs} AS run WHERE experiment_id {experiment}"

_EXPERIMENT_OF = "SELECT experiment_id FROM {runs} AS run WHERE id {run}"

_IS_VISIBLE = "SELECT 1 FROM {experiments} AS experiment WHERE id {is_id} AND {visible}"

_OLDEST = -(1 << 63)

# What has no time comes last: `position` is a number, so that NULL needs no case of its
# own in the comparisons. Runs are counted for the page only.
_PAGE = f"""
WITH visible AS (
    SELECT
        id, name, status, created_at, coalesce(moment, {_OLDEST}) AS position
    FROM {{experiments}} AS experiment
    WHERE {{is_uuid}} AND {{visible}}
),
page AS (
    SELECT * FROM visible
    WHERE ?
        OR position < (SELECT position FROM visible WHERE id {{last}})
        OR (
            position = (SELECT position FROM visible WHERE id {{last}})
            AND id > (SELECT id FROM visible WHERE id {{last}})
        )
    ORDER BY position DESC, id
    LIMIT ?
)
SELECT
    id, name, status,
    (SELECT count(*) FROM {{runs}} AS run WHERE experiment_id = page.id),
    created_at
FROM page
ORDER BY position DESC, id
"""

_NAMES = """
SELECT id, name FROM {experiments} AS experiment WHERE {is_uuid} AND {visible}
"""

_NO_UUID = "SELECT id FROM {experiments} AS experiment WHERE NOT ({is_uuid}) LIMIT 1"

# SQLite may hold anything in the place of an id: only an id can be asked for.
_IS_UUID = {
    "sqlite": "({hex} NOT GLOB '*[^0-9a-f]*' AND length({hex}) = 32)",
    "postgresql": "({hex} ~ '^[0-9a-f]{{32}}$')",
}

_ALL = (1 << 63) - 1


_LISTED = 5
"""How many experiments are named where one was meant."""

_HEX = re.compile(r"[0-9a-f]{4,32}")


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
    """An experiment as read, with the rules by which its winner is chosen.

    `rule` is what the rules were read from: its scoring_config, unless a request puts
    another in its place.
    """

    experiment: Experiment
    rule: JSON
    rules: Rules
    warnings: tuple[Notice, ...]


def read_experiment(
    session: Session, catalog: Catalog, wanted: UUID, *, is_visible: bool
) -> ExperimentRow:
    """Read one experiment; raise ExperimentNotFoundError if there is none to see."""
    clause, values = catalog.id("experiments.id", wanted)
    sql = _EXPERIMENT.format(experiments=catalog.experiments, is_id=clause)
    row = session.one(sql, *values, is_visible)
    if row is None:
        raise ExperimentNotFoundError
    name, description, status, space, scoring, created_at, updated_at = row
    parameter_space, space_notices = json_value(space, "parameter_space")
    scoring_config, scoring_notices = json_value(scoring, "scoring_config")
    warnings = [*space_notices, *scoring_notices]
    if catalog.is_filtered:
        warnings.append(
            Notice(
                code="rows-filtered",
                message=(
                    "Row-level security applies: only rows that the database role "
                    "may see are exported."
                ),
            )
        )
    cells = Cells("the experiment", warnings.append)
    return ExperimentRow(
        experiment=Experiment(
            id=wanted,
            name=cells.required_text("name", name),
            description=cells.text("description", description),
            status=cells.required_text("status", status, instead=UNKNOWN),
            parameter_space=parameter_space,
            scoring_config=scoring_config,
            created_at=cells.time("created_at", created_at),
            updated_at=cells.time("updated_at", updated_at),
        ),
        rule=scoring_config,
        rules=rules(scoring_config),
        warnings=tuple(warnings),
    )


def last_change(
    session: Session, catalog: Catalog, row: ExperimentRow
) -> datetime | None:
    """Return when the experiment's data say that they changed last.

    The latest `updated_at` of the experiment and its runs: from the data, not from a
    clock, so that the same data give the same time in whichever database they are, also
    after an import. None if no time can be read.
    """
    clause, values = catalog.id("runs.experiment_id", row.experiment.id)
    is_sqlite = catalog.kind == "sqlite"
    updated = microseconds_of("updated_at") if is_sqlite else "updated_at"
    sql = _LAST_RUN.format(updated=updated, runs=catalog.runs, experiment=clause)
    (latest,) = session.one(sql, *values) or (None,)
    if is_sqlite and latest is not None:
        latest = latest / 1e6
    unread: list[Notice] = []
    cells = Cells("the runs", unread.append)
    times = [row.experiment.updated_at, cells.time("updated_at", latest)]
    return max((time for time in times if time is not None), default=None)


def experiments(
    session: Session,
    catalog: Catalog,
    visible: Condition,
    *,
    after: UUID | None = None,
    limit: int | None = None,
) -> Iterator[ExperimentSummary]:
    """Yield the experiments to be seen, newest first.

    Start after `after`; yield at most `limit`. Raises ExperimentNotFoundError if
    `after` is not one of them, and UnreadableRowError if no experiment has an id.
    """
    unread: list[Notice] = []  # an export of the experiment names what is odd
    names = _names(catalog, visible)
    last, last_values = "IN (NULL)", list[object]()
    if after is not None:
        last, last_values = catalog.id("experiments.id", after)
        sql = _IS_VISIBLE.format(is_id=last, **names)
        if session.one(sql, *last_values, *visible.values) is None:
            raise ExperimentNotFoundError
    rows = session.all(
        _PAGE.format(last=last, **names),
        *visible.values,
        after is None,
        *last_values * 3,
        limit or _ALL,
    )
    if not rows and after is None:
        _refuse_other_ids(session, names)
    for key, name, status, run_count, created_at in rows:
        cells = Cells("an experiment", unread.append)
        yield ExperimentSummary(
            id=row_id(key, "experiments"),
            name=cells.required_text("name", name),
            status=cells.required_text("status", status, instead=UNKNOWN),
            runs=run_count,
            created_at=cells.time("created_at", created_at),
        )


def owner(
    session: Session, catalog: Catalog, visible: Condition, identity: UUID
) -> UUID | None:
    """Return the experiment that has this id, or a run of this id."""
    clause, values = catalog.id("runs.id", identity)
    sql = _EXPERIMENT_OF.format(runs=catalog.runs, run=clause)
    (experiment,) = session.one(sql, *values) or (identity,)
    if experiment is None:
        return None
    candidate = row_id(experiment, "experiments")
    clause, values = catalog.id("experiments.id", candidate)
    sql = _IS_VISIBLE.format(is_id=clause, **_names(catalog, visible))
    found = session.one(sql, *values, *visible.values)
    return None if found is None else candidate


def find(
    session: Session, catalog: Catalog, visible: Condition, reference: str
) -> UUID:
    """Return the id that an id, the start of one, or a unique name stands for.

    Raises ExperimentNotFoundError for none and UsageError for several.
    """
    # All names are read: there are few experiments, and LIKE would need escaping.
    start = reference.lower().replace("-", "")
    sql = _NAMES.format(**_names(catalog, visible))
    rows = [
        (row_id(key, "experiments"), name)
        for key, name in session.all(sql, *visible.values)
    ]
    is_id = bool(_HEX.fullmatch(start))
    found = {
        id_
        for id_, name in rows
        if name == reference or (is_id and id_.hex.startswith(start))
    } or {id_ for id_, name in rows if str(name).startswith(reference)}
    if not found:
        close = get_close_matches(reference, [str(name) for _, name in rows], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        msg = f"No experiment is named or begins with {reference!r}{hint}"
        raise ExperimentNotFoundError(msg)
    if len(found) > 1:
        summaries = experiments(session, catalog, visible)
        raise _ambiguous(reference, [row for row in summaries if row.id in found])
    return found.pop()


def find_whole(
    summaries: Iterable[ExperimentSummary], reference: str
) -> ExperimentSummary:
    """Return the one that has this id or this name, whole.

    Raises ExperimentNotFoundError for none and UsageError for several.
    """
    digits = reference.lower().replace("-", "")
    found = [row for row in summaries if digits == row.id.hex or reference == row.name]
    if not found:
        msg = f"No experiment has the whole id or name {reference!r}"
        raise ExperimentNotFoundError(msg)
    if len(found) > 1:
        raise _ambiguous(reference, found)
    return found[0]


def _ambiguous(reference: str, found: Sequence[ExperimentSummary]) -> UsageError:
    listed = "), ".join(
        f"{row.id} ({row.runs:,} run{'' if row.runs == 1 else 's'}"
        + (f", created {row.created_at:%Y-%m-%d %H:%M}" if row.created_at else "")
        for row in found[:_LISTED]
    )
    more = ", ..." if len(found) > _LISTED else ""
    msg = f"{reference!r} matches {len(found)} experiments: {listed}){more}. Use an id."
    return UsageError(msg)


def _names(catalog: Catalog, visible: Condition) -> dict[str, str]:
    digits = catalog.hex("experiments.id", "experiment.id")
    return {
        "experiments": catalog.experiments,
        "runs": catalog.runs,
        "visible": visible.sql,
        "is_uuid": _IS_UUID[catalog.kind].format(hex=digits),
    }


def _refuse_other_ids(session: Session, names: dict[str, str]) -> None:
    """Name an id that cannot be asked for, rather than say that there is nothing."""
    for (key,) in session.all(_NO_UUID.format(**names)):
        row_id(key, "experiments")
