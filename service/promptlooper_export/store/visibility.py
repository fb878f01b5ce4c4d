"""Which experiments a viewer may see: a condition that is part of every query."""

from dataclasses import dataclass

from promptlooper_export.store.database import Session
from promptlooper_export.viewer import Viewer

# In the order of the values: admin, grantees, open, not narrowed, narrowed to.
_CONDITION = """(
    ?
    OR EXISTS (
        SELECT 1 FROM export_grants
        WHERE experiment_id = experiments.id AND grantee IN ({grantees})
    )
    OR (
        ? AND NOT EXISTS (
            SELECT 1 FROM export_grants WHERE experiment_id = experiments.id
        )
    )
)
AND (? OR experiments.id IN (NULL{narrowed}))
"""

_MARK = ", ?"


@dataclass(frozen=True, kw_only=True)
class Visibility:
    """A condition on the table `experiments`, and the values of its placeholders."""

    condition: str
    values: tuple[object, ...]


def visibility(
    session: Session, viewer: Viewer, *, open_experiments: bool
) -> Visibility:
    """Return what makes an experiment one that the viewer may see.

    It was granted to them or to one of their groups, or was granted to nobody and
    `open_experiments` holds; admins see all. A token that is narrowed to some
    experiments sees no other, an admin's neither.
    """
    grantees = [f"user:{viewer.subject}", *(f"group:{name}" for name in viewer.groups)]
    narrowed = [session.key(experiment) for experiment in viewer.experiments or ()]
    return Visibility(
        condition=_CONDITION.format(
            grantees=(_MARK * len(grantees)).removeprefix(", "),
            narrowed=_MARK * len(narrowed),
        ),
        values=(
            viewer.admin,
            *grantees,
            open_experiments,
            viewer.experiments is None,
            *narrowed,
        ),
    )
