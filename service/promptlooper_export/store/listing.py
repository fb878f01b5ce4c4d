"""The list of experiments: pages of it, and one of them by its name or its run."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.errors import ExperimentNotFoundError, UsageError
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.experiments import Condition, among
from promptlooper_export.store.rows import UNKNOWN, Cells, row_id

_EXPERIMENT_OF = "SELECT experiment_id FROM {runs} AS run WHERE id {run}"

_IS_VISIBLE = "SELECT 1 FROM {experiments} AS experiment WHERE id {is_id} AND {visible}"

_NAMES = """
SELECT id, name, moment FROM {experiments} AS experiment WHERE {is_uuid} AND {visible}
"""

# Runs are counted for those on the page only.
_SUMMARIES = """
SELECT
    id, name, status,
    (SELECT count(*) FROM {runs} AS run WHERE experiment_id = experiment.id),
    created_at
FROM {experiments} AS experiment
WHERE {is_uuid} AND {visible}
"""

_NO_UUID = "SELECT id FROM {experiments} AS experiment WHERE NOT ({is_uuid}) LIMIT 1"

# SQLite may hold anything in the place of an id: only an id can be asked for.
_IS_UUID = {
    "sqlite": "({hex} NOT GLOB '*[^0-9a-f]*' AND length({hex}) = 32)",
    "postgresql": "({hex} ~ '^[0-9a-f]{{32}}$')",
}

_LISTED = 5
"""How many experiments are named where one was meant."""

_HEX = re.compile(r"[0-9a-f]{4,32}")


Order: TypeAlias = Literal["newest", "oldest", "name"]


@dataclass(frozen=True, kw_only=True)
class _Named:
    """An experiment with what the list is ordered by."""

    id: UUID
    name: str
    moment: int | None


# What has no time comes last; the id makes each order one that every page agrees on.
_ORDERS: Mapping[Order, Callable[[_Named], Any]] = {
    "newest": lambda row: (row.moment is None, -(row.moment or 0), row.id),
    "oldest": lambda row: (row.moment is None, row.moment or 0, row.id),
    "name": lambda row: (row.name.casefold(), row.name, row.id),
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A part of the list: the experiments whose id and name match, in an order.

    It starts after the experiment `after`, and has at most `limit`.
    """

    matches: Callable[[UUID, str], bool] = lambda _id, _name: True
    order: Order = "newest"
    after: UUID | None = None
    limit: int | None = None


WHOLE = Page()


@dataclass(frozen=True, kw_only=True)
class ExperimentSummary:
    """A line of the list of experiments."""

    id: UUID
    name: str
    status: str
    runs: int
    created_at: datetime | None


def experiments(
    session: Session, catalog: Catalog, visible: Condition, page: Page
) -> Iterator[ExperimentSummary]:
    """Yield the experiments to be seen.

    Raises ExperimentNotFoundError if the page starts after one that is not among them,
    and UnreadableRowError if no experiment has an id.
    """
    unread: list[Notice] = []  # an export of the experiment names what is odd
    cells = Cells("an experiment", unread.append)
    # Sorted here, since databases disagree about the order and the case of names.
    rows = [
        _Named(
            id=row_id(key, "experiments"),
            name=cells.required_text("name", name),
            moment=moment,
        )
        for key, name, moment in _named(session, catalog, visible)
    ]
    found = sorted(
        (row for row in rows if page.matches(row.id, row.name)), key=_ORDERS[page.order]
    )
    ids = [row.id for row in found]
    if page.after is not None:
        if page.after not in ids:
            raise ExperimentNotFoundError
        ids = ids[ids.index(page.after) + 1 :]
    summaries = _summaries(session, catalog, ids[: page.limit])
    yield from (summaries[id_] for id_ in ids[: page.limit])


def _named(
    session: Session, catalog: Catalog, visible: Condition
) -> Sequence[Sequence[Any]]:
    names = _names(catalog, visible)
    rows = session.all(_NAMES.format(**names), *visible.values)
    if not rows:
        _refuse_other_ids(session, names)
    return rows


def _summaries(
    session: Session, catalog: Catalog, ids: Sequence[UUID]
) -> dict[UUID, ExperimentSummary]:
    unread: list[Notice] = []
    these = among(catalog, ids)
    sql = _SUMMARIES.format(**_names(catalog, these))
    found = {}
    for key, name, status, run_count, created_at in session.all(sql, *these.values):
        cells = Cells("an experiment", unread.append)
        summary = ExperimentSummary(
            id=row_id(key, "experiments"),
            name=cells.required_text("name", name),
            status=cells.required_text("status", status, instead=UNKNOWN),
            runs=run_count,
            created_at=cells.time("created_at", created_at),
        )
        found[summary.id] = summary
    return found


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
        for key, name, _ in session.all(sql, *visible.values)
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
        summaries = experiments(session, catalog, visible, WHOLE)
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
