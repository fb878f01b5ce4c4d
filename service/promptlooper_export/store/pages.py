"""A page of an experiment's runs, by key: what comes after a run, and how much of it.

The order of runs is by the time at which they were created, those without one first,
then by id.
"""

from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.rows import row_id

ORDER = "ORDER BY created NULLS FIRST, id"

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
        sql = f"SELECT id FROM {self.sql} {ORDER} LIMIT 2 OFFSET ?"
        rows = session.all(sql, *self.values, self.limit - 1)
        return row_id(rows[0][0], "runs") if len(rows) > 1 else None


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
        sql = f"{sql} {(_UNDATED if found[0] else _DATED).format(**names)}"
        values = [*values, *run_values]
    return Page(
        sql=sql, values=tuple(values), limit=_UNLIMITED if limit is None else limit
    )
