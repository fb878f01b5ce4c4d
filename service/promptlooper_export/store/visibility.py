"""Which experiments a viewer may see.

An experiment that was granted to them or to one of their groups, or one that was
granted to nobody if `open_experiments` holds; admins see all. A token that is narrowed
to some experiments sees no other, not even an admin's.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.store.catalog import Catalog
from promptlooper_export.viewer import Viewer

# In the order of the values: admin, granted to the viewer, open, granted, not narrowed,
# narrowed to.
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
    if viewer.admin or not grantees.isdisjoint(_names(viewer)):
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
    names = _names(viewer)
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


def _names(viewer: Viewer) -> frozenset[str]:
    return frozenset(
        (f"user:{viewer.subject}", *(f"group:{name}" for name in viewer.groups))
    )
