"""Statistics over the runs of an experiment."""

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from promptlooper_export.analysis.distribution import quantile
from promptlooper_export.analysis.failures import group_failures
from promptlooper_export.documents import (
    Cost,
    Period,
    RunCounts,
    Timing,
    Tokens,
)
from promptlooper_export.findings import Failures
from promptlooper_export.store.connection import Session
from promptlooper_export.store.decision import Tally
from promptlooper_export.store.ranking import Ranking, ScoreReader
from promptlooper_export.store.rows import label, row_id
from promptlooper_export.store.scoring import Rules
from promptlooper_export.store.survey import Survey, read_survey


def _sum(value: str) -> str:
    """Write a sum that does not depend on the order of its addends.

    The order is the database's to choose, and the same data must give the same bytes.
    Each addend goes in three parts: the first is exact up to sums of 2^33, the second
    up to some 10,000 addends, and the rest is next to nothing (Demmel and Nguyen, "Fast
    Reproducible Floating-Point Summation", 2013).
    """
    high = f"({value} + 6442450944.0 - 6442450944.0)"
    rest = f"({value} - {high})"
    middle = f"({rest} + 0.005859375 - 0.005859375)"
    return f"(sum({high}) + (sum({middle}) + sum({rest} - {middle})))"


# SQLite holds any value in any column; what is not a whole number is left out, as it is
# from the runs themselves. A real such as 3.0 is one; CAST saturates beyond 64 bits.
_WHOLE = {
    "sqlite": (
        "CASE WHEN typeof({0}) = 'integer' THEN {0} WHEN typeof({0}) = 'real' "
        "AND abs({0}) < 9e18 AND {0} = CAST({0} AS INTEGER) "
        "THEN CAST({0} AS INTEGER) END"
    ),
    "postgresql": (
        "CASE WHEN {0} BETWEEN -9223372036854775808 AND 9223372036854775807 "
        "AND CAST({0} AS numeric) = trunc(CAST({0} AS numeric)) "
        "THEN CAST({0} AS numeric) END"
    ),
}
# SQLite's sum() fails if it leaves 64 bits, so the upper and the lower 32 bits are
# summed apart and joined in Python. PostgreSQL's numeric has no such limit.
_HALVES = {
    "sqlite": "sum({0} >> 32), sum({0} & 4294967295)",
    "postgresql": "0, sum({0})",
}

_TOTALS = f"""
SELECT status, count(*), {{halves_in}}, {{halves_out}},
    count(cost), coalesce({_sum("cost")}, 0)
FROM (
    SELECT
        status, {{whole_in}} AS tokens_in, {{whole_out}} AS tokens_out,
        CASE WHEN cost_usd BETWEEN -1e150 AND 1e150 THEN cost_usd END AS cost
    FROM {{runs}} AS run WHERE experiment_id {{experiment}}
) AS run
GROUP BY status
"""

# 2^43 ms are 278 years: nearly a million runs of that length sum up within 64 bits, and
# what is longer is left out. So is text, which SQLite holds to be above every number.
_COMPLETED = """
FROM {runs} AS run
WHERE experiment_id {experiment} AND status = 'completed'
    AND duration_ms BETWEEN -8796093022208 AND 8796093022208
"""

_DURATIONS = f"""
SELECT count(*), min(duration_ms), max(duration_ms), sum(duration_ms) {_COMPLETED}
"""

# Quantiles interpolate between the values at two places, counted from 0.
_DURATION_PLACES = f"""
SELECT place, value FROM (
    SELECT
        duration_ms AS value,
        row_number() OVER (ORDER BY duration_ms) - 1 AS place,
        count(*) OVER () - 1 AS last
    {_COMPLETED}
) AS placed
WHERE place IN (last / 2, last / 2 + 1, last * 95 / 100, last * 95 / 100 + 1)
"""

# More of an error than anybody reads: it may be a whole log.
_FAILED = """
SELECT id, moment, substr(error, 1, 100000) FROM {runs} AS run
WHERE experiment_id {experiment} AND status = 'failed'
ORDER BY created NULLS FIRST, id
"""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a report says about all runs."""

    by_status: Mapping[str, int]
    tokens: Tokens
    cost: Cost | None
    timing: Timing | None
    survey: Survey
    failures: Failures | None

    def counts(self, scored: int) -> RunCounts:
        """Return how many runs there are, `scored` of them with a weighted score."""
        return RunCounts(
            total=sum(self.by_status.values()),
            by_status=dict(self.by_status),
            scored=scored,
        )


def read_statistics(
    reader: ScoreReader, rules: Rules, ranking: Ranking, tally: Tally | None
) -> Statistics:
    """Compute the statistics of an experiment, whose runs are ranked so.

    The tally counts the runs on the way.
    """
    session, values = reader.session, reader.values
    names = {"runs": reader.catalog.runs, "experiment": reader.experiment}
    by_status, tokens, cost = _totals(session, names, values)
    survey = read_survey(reader, rules, ranking, tally)
    failures, failed_at = _failures(session, names, values)
    return Statistics(
        by_status=by_status,
        tokens=tokens,
        cost=cost,
        timing=_timing(session, names, values),
        survey=replace(
            survey, history=tuple(_with_failures(survey.history, failed_at))
        ),
        failures=failures,
    )


def _totals(
    session: Session, names: Mapping[str, str], values: list[object]
) -> tuple[Mapping[str, int], Tokens, Cost | None]:
    """Return what is summed over all runs, of any status."""
    kind = session.kind
    sql = _TOTALS.format(
        **names,
        halves_in=_HALVES[kind].format("tokens_in"),
        halves_out=_HALVES[kind].format("tokens_out"),
        whole_in=_WHOLE[kind].format("tokens_in"),
        whole_out=_WHOLE[kind].format("tokens_out"),
    )
    rows = session.all(sql, *values)
    by_status: Counter[str] = Counter()
    tokens_in = tokens_out = priced = 0
    costs = []
    for status, count, high_in, low_in, high_out, low_out, costed, cost in rows:
        by_status[label(status)] += count
        tokens_in += _whole(high_in, low_in)
        tokens_out += _whole(high_out, low_out)
        priced += int(costed)
        costs.append(float(cost))
    # Exact, because the order of statuses is the database's to choose.
    spent = math.fsum(costs)
    return (
        dict(sorted(by_status.items())),
        Tokens(tokens_in=tokens_in, tokens_out=tokens_out),
        Cost(count=priced, total=spent, average=spent / priced) if priced else None,
    )


def _whole(high: Any, low: Any) -> int:
    """Join two halves of 32 bits; both are NULL if there is no value."""
    return (int(high or 0) << 32) + int(low or 0)


def _timing(
    session: Session, names: Mapping[str, str], values: list[object]
) -> Timing | None:
    """Return the durations of completed runs, None if none has one."""
    ((count, fastest, slowest, total),) = session.all(
        _DURATIONS.format(**names), *values
    )
    if not count:
        return None
    places = {
        place: float(value)
        for place, value in session.all(_DURATION_PLACES.format(**names), *values)
    }
    return Timing(
        count=count,
        fastest=_number(fastest),
        slowest=_number(slowest),
        average=float(total) / count,
        median=quantile(places, count, 50),
        p95=quantile(places, count, 95),
        total=float(total),
    )


def _failures(
    session: Session, names: Mapping[str, str], values: list[object]
) -> tuple[Failures | None, "array[int]"]:
    """Return the failed runs by their errors, None if none has failed, and when."""
    moments = array("q")

    def errors() -> Iterator[tuple[UUID, str | None]]:
        for key, moment, error in session.stream(_FAILED.format(**names), *values):
            if moment is not None:
                moments.append(moment)
            yield row_id(key, "runs"), None if error is None else label(error)

    found = group_failures(errors())
    return found if found.runs else None, moments


def _with_failures(
    history: Sequence[Period], moments: Sequence[int]
) -> Iterator[Period]:
    """Yield the periods with the number of runs that failed in each.

    The moments are in microseconds since 1970.
    """
    starts = [round(period.start.timestamp() * 1e6) for period in history]
    failed = Counter(max(0, bisect_right(starts, one) - 1) for one in moments)
    for place, period in enumerate(history):
        yield replace(period, failed=failed[place])


def _number(value: Any) -> float:
    """Return a duration as it is stored: whole numbers stay whole."""
    return value if isinstance(value, int | float) else float(value)
