"""The experiments that a viewer may see, and one of them by its id.

A viewer sees an experiment that was granted to them or to one of their groups, or one
that was granted to nobody if `open_experiments` holds; admins see all. A token that is
narrowed to some experiments sees no other, not even an admin's. What is missing and
what is not theirs to see is one case: the query gives no row.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import Experiment, Notice
from promptlooper_export.errors import ExperimentNotFoundError
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.columns import microseconds_of
from promptlooper_export.store.connection import Session
from promptlooper_export.store.rows import UNKNOWN, Cells, json_value
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
    return Condition(
        sql=_CONDITION.format(
            id=catalog.hex("experiments.id", "experiment.id"),
            within=_WITHIN[catalog.kind],
        ),
        values=(
            viewer.admin,
            _listed(catalog, mine),
            open_experiments,
            _listed(catalog, grants),
            viewer.experiments is None,
            _listed(catalog, viewer.experiments or ()),
        ),
    )


def among(catalog: Catalog, ids: Iterable[UUID]) -> Condition:
    """Return the condition that a row of `experiment` has one of these ids."""
    digits = catalog.hex("experiments.id", "experiment.id")
    return Condition(
        sql=f"{digits} {_WITHIN[catalog.kind]}", values=(_listed(catalog, ids),)
    )


def _listed(catalog: Catalog, ids: Iterable[UUID]) -> object:
    digits = [one.hex for one in ids]
    return json.dumps(digits) if catalog.kind == "sqlite" else digits


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
