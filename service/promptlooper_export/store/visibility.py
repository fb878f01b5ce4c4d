"""Which experiments a viewer may see: a condition that is part of every query."""

from dataclasses import dataclass

from promptlooper_export.store.database import Session
from promptlooper_export.viewer import Viewer

# In the order of the values: admin, grantees, open, not narrowed, narrowed to.
_CONDITION = """(
    ?
    OR EXISTS (
        SELECT 1 FROM export_grants
        WHERE experiment_id = {id} AND grantee IN ({grantees})
    )
    OR (? AND NOT EXISTS (SELECT 1 FROM export_grants WHERE experiment_id = {id}))
)
AND (? OR {id} IN (NULL{narrowed}))
"""

_MARK = ", ?"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition in SQL, and the values of its placeholders."""

    sql: str
    values: tuple[object, ...]


class Visibility:
    """What a viewer may see.

    An experiment that was granted to them or to one of their groups, or one that was
    granted to nobody where `open_experiments` holds; admins see all. A token that is
    narrowed to some experiments sees no other, an admin's neither.
    """

    def __init__(
        self, session: Session, viewer: Viewer, *, open_experiments: bool
    ) -> None:
        self._viewer = viewer
        self._open_experiments = open_experiments
        self._grantees = (
            f"user:{viewer.subject}",
            *(f"group:{name}" for name in viewer.groups),
        )
        self._narrowed = tuple(map(session.key, viewer.experiments or ()))

    def of_rows(self) -> Condition:
        """Return the condition on the rows of the table `experiments`."""
        return self._condition("experiments.id")

    def of_one(self, key: object) -> Condition:
        """Return the condition on one id, as the database holds it.

        It names no column, so it is decided before a row is looked for, and takes as
        long where there is none.
        """
        return self._condition("?", key)

    def _condition(self, id_: str, *key: object) -> Condition:
        return Condition(
            sql=_CONDITION.format(
                id=id_,
                grantees=(_MARK * len(self._grantees)).removeprefix(", "),
                narrowed=_MARK * len(self._narrowed),
            ),
            values=(
                self._viewer.admin,
                *key,
                *self._grantees,
                self._open_experiments,
                *key,
                self._viewer.experiments is None,
                *key,
                *self._narrowed,
            ),
        )
