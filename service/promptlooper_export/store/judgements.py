"""The judgements of some runs, and the cases they are of."""

from collections.abc import Sequence
from typing import Literal

from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.rows import label

_SCORES = """
SELECT run_id, scorer_name, {column} FROM {scores} AS score
WHERE run_id IN ({marks}) ORDER BY place
"""

_WITH_CASES = """
SELECT DISTINCT run_id FROM {scores} AS score
WHERE run_id IN ({marks}) AND case_id IS NOT NULL
"""


def judgements(
    session: Session,
    catalog: Catalog,
    keys: Sequence[object],
    column: Literal["value", "case_id"] = "value",
) -> dict[object, dict[str, list[object]]]:
    """Return what each scorer gave each run, by the run's id as stored.

    Or the case of each judgement. The scorers are sorted, their judgements in the
    runner's order.
    """
    judged: dict[object, dict[str, list[object]]] = {key: {} for key in keys}
    if not keys:
        return judged
    owners = catalog.owners(session, "scores", keys)
    marks = ", ".join("?" * len(owners))
    # One column at a time: an index covers the values, but not the cases.
    sql = _SCORES.format(column=column, scores=catalog.scores, marks=marks)
    rows = session.all(sql, *owners)
    labels = {scorer: label(scorer) for scorer in {scorer for _, scorer, _ in rows}}
    for key, scorer, value in rows:
        judged[owners[key]].setdefault(labels[scorer], []).append(value)
    return {key: dict(sorted(found.items())) for key, found in judged.items()}


def judged_cases(
    session: Session, catalog: Catalog, keys: Sequence[object]
) -> dict[object, dict[str, tuple[str | None, ...]]]:
    """Return the case of each judgement of the runs that were judged case by case.

    Scorers that name no case are left out.
    """
    owners = catalog.owners(session, "scores", keys)
    marks = ", ".join("?" * len(owners))
    sql = _WITH_CASES.format(scores=catalog.scores, marks=marks)
    found = [owners[key] for (key,) in session.all(sql, *owners)]
    judged = judgements(session, catalog, [*dict.fromkeys(found)], "case_id")
    return {
        key: {
            scorer: tuple(None if case is None else label(case) for case in cases)
            for scorer, cases in by_scorer.items()
            if any(case is not None for case in cases)
        }
        for key, by_scorer in judged.items()
    }
