"""A page of an experiment's runs, by key: what comes after a run, and how much of it.

The order of runs is that of an index: by created_at, those without one first, then id.
"""

from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.cells import row_id
from promptlooper_export.store.database import Session

ORDER = "ORDER BY created_at NULLS FIRST, id"

_DATED = "AND (created_at, id) > (SELECT created_at, id FROM runs WHERE id = ?)"
_UNDATED = "AND (created_at IS NOT NULL OR id > ?)"

_LAST_RUN = "SELECT created_at IS NULL FROM runs WHERE id = ? AND experiment_id = ?"

_UNLIMITED = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which runs: `sql` is what follows WHERE, and `values` are its placeholders'.

    `is_whole` tells whether it is every run of the experiment.
    """

    sql: str
    values: tuple[object, ...]
    limit: int
    is_whole: bool

    def count(self, session: Session) -> int:
        """Return how many runs there are on the page."""
        rows = f"SELECT 1 FROM runs WHERE {self.sql} LIMIT ?"
        sql = f"SELECT count(*) FROM ({rows}) AS page"
        (count,) = session.one(sql, *self.values, self.limit) or (0,)
        return int(count)

    def last(self, session: Session) -> UUID | None:
        """Return the last run on the page; None where no run comes after it."""
        if self.limit == _UNLIMITED:
            return None
        sql = f"SELECT id FROM runs WHERE {self.sql} {ORDER} LIMIT 2 OFFSET ?"
        rows = session.all(sql, *self.values, self.limit - 1)
        return row_id(rows[0][0], "runs") if len(rows) > 1 else None


def page(
    session: Session, experiment: UUID, *, limit: int | None, after: UUID | None
) -> Page:
    """Return the page of `limit` runs behind the run `after`, else from the first.

    Raises InvalidParameterError where `after` is no run of the experiment.
    """
    sql = "experiment_id = ?"
    values: tuple[object, ...] = (session.key(experiment),)
    if after is not None:
        found = session.one(_LAST_RUN, session.key(after), *values)
        if found is None:
            detail = (
                "The run in 'after' is none of this experiment, or not there any more: "
                "begin without it."
            )
            raise InvalidParameterError(detail, parameter="after")
        sql = f"{sql} {_UNDATED if found[0] else _DATED}"
        values = (*values, session.key(after))
    return Page(
        sql=sql,
        values=values,
        limit=_UNLIMITED if limit is None else limit,
        is_whole=limit is None and after is None,
    )
