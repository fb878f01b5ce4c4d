"""Statistics over the runs of an experiment, computed in SQL."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from promptlooper_export.documents import (
    Bin,
    Cost,
    Period,
    RunCounts,
    ScorerStatistics,
    Timing,
    Tokens,
)
from promptlooper_export.store import rules
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.cells import label
from promptlooper_export.store.database import Session
from promptlooper_export.store.ranking import ranked

BINS = 20
PERIODS = 50


def _sum(value: str) -> str:
    """Write a sum that does not depend on the order of its addends.

    The order is the database's to choose, and the same data must give the same bytes.
    Each addend goes in three parts, as in the first migration: the first is exact up to
    sums of 2^33, the second up to some 10,000 addends, and the rest is next to nothing.
    """
    high = f"({value} + 6442450944.0 - 6442450944.0)"
    rest = f"({value} - {high})"
    middle = f"({rest} + 0.005859375 - 0.005859375)"
    return f"(sum({high}) + (sum({middle}) + sum({rest} - {middle})))"


# What a column is not for is left out: SQLite holds any value in any column. Tokens are
# summed up in two halves, since SQLite refuses sums that do not fit 64 bits.
_TOTALS = f"""
SELECT
    status, count(*),
    sum(tokens_in >> 32), sum(tokens_in & 4294967295),
    sum(tokens_out >> 32), sum(tokens_out & 4294967295),
    count(cost), coalesce({_sum("cost")}, 0)
FROM (
    SELECT
        status,
        CASE WHEN {{is_whole_in}} THEN tokens_in END AS tokens_in,
        CASE WHEN {{is_whole_out}} THEN tokens_out END AS tokens_out,
        CASE WHEN cost_usd BETWEEN -1e150 AND 1e150 THEN cost_usd END AS cost
    FROM runs WHERE experiment_id = ?
) AS run
GROUP BY status
"""

_IS_WHOLE = {"sqlite": "typeof({}) = 'integer'", "postgresql": "{} IS NOT NULL"}

_SCORED = "SELECT count(*) FROM ({}) AS ranked WHERE weighted_score IS NOT NULL"

# Sums of longer ones than 278 years could leave the range of an integer.
_DURATIONS = """
SELECT count(*), min(duration_ms), max(duration_ms), sum(duration_ms)
FROM runs
WHERE experiment_id = ? AND status = 'completed'
    AND duration_ms BETWEEN -8796093022208 AND 8796093022208
"""

# Quantiles interpolate between the values at two places, counted from 0.
_DURATION_PLACES = """
SELECT place, value FROM (
    SELECT
        duration_ms AS value,
        row_number() OVER (ORDER BY duration_ms) - 1 AS place,
        count(*) OVER () - 1 AS last
    FROM runs
    WHERE experiment_id = ? AND status = 'completed'
        AND duration_ms BETWEEN -8796093022208 AND 8796093022208
) AS placed
WHERE place IN (last / 2, last / 2 + 1, last * 95 / 100, last * 95 / 100 + 1)
"""


# Squares of larger values leave the range of a double, which PostgreSQL refuses.
_VALUES = f"""
WITH run_value AS (
    SELECT run_id, scorer_name, avg(value) AS value
    FROM scores
    JOIN runs ON runs.id = scores.run_id
    WHERE experiment_id = ? AND status = 'completed' AND value BETWEEN -1e150 AND 1e150
    GROUP BY run_id, scorer_name
),
summary AS (
    SELECT
        scorer_name, count(*) AS number, min(value) AS low, max(value) AS high,
        {_sum("value")} / count(*) AS mean
    FROM run_value GROUP BY scorer_name
)
"""

_SUMMARIES = (
    _VALUES
    + f"""
SELECT
    scorer_name, number, low, high, mean,
    {_sum("square")} / nullif(number - 1, 0)
FROM (
    SELECT summary.*, (value - mean) * (value - mean) AS square
    FROM summary JOIN run_value USING (scorer_name)
) AS spread
GROUP BY scorer_name, number, low, high, mean
"""
)

_SCORE_PLACES = (
    _VALUES
    + """
SELECT scorer_name, place, value FROM (
    SELECT
        scorer_name, value,
        row_number() OVER (PARTITION BY scorer_name ORDER BY value) - 1 AS place,
        count(*) OVER (PARTITION BY scorer_name) - 1 AS last
    FROM run_value
) AS placed
WHERE place IN (
    last / 4, last / 4 + 1, last / 2, last / 2 + 1, last * 3 / 4, last * 3 / 4 + 1
)
"""
)

# The bar, from 0, of a value between low and high; the highest value is in the last.
_BAR = {
    "sqlite": (
        "min("
        "CAST(({value} - {low}) / ({high} - {low}) * {bars} AS INTEGER), {bars} - 1)"
    ),
    "postgresql": "least(width_bucket({value}, {low}, {high}, {bars}), {bars}) - 1",
}

_HISTOGRAM = (
    _VALUES
    + """
SELECT scorer_name, CASE WHEN low < high THEN {bar} ELSE 0 END AS bar, count(*)
FROM summary JOIN run_value USING (scorer_name)
GROUP BY scorer_name, bar
"""
)

_EPOCH = {
    "sqlite": "created",
    "postgresql": "extract(epoch FROM created)::double precision",
}

_HISTORY = """
WITH scored AS (
    SELECT {epoch} AS created, weighted_score FROM ({ranked}) AS ranked
    WHERE weighted_score BETWEEN -1e150 AND 1e150
        -- the years 1 to 9999, which have names
        AND {epoch} BETWEEN -62135596800 AND 253402300799
),
bounds AS (SELECT min(created) AS low, max(created) AS high FROM scored)
SELECT
    CASE WHEN low < high THEN {bar} ELSE 0 END AS period,
    count(*), max(weighted_score), {mean}, min(low), min(high)
FROM scored CROSS JOIN bounds
GROUP BY period ORDER BY period
"""


def totals(
    session: Session, row: ExperimentRow
) -> tuple[RunCounts, Tokens, Cost | None]:
    """Return what is summed over all runs, of any status."""
    is_whole = _IS_WHOLE[session.kind]
    sql = _TOTALS.format(
        is_whole_in=is_whole.format("tokens_in"),
        is_whole_out=is_whole.format("tokens_out"),
    )
    rows = session.all(sql, session.key(row.experiment.id))
    query, values = ranked(session, row)
    scored = session.all(_SCORED.format(query), *values)[0][0]
    by_status: Counter[str] = Counter()
    for status, count, *_ in rows:
        by_status[label(status)] += count
    priced = sum(int(line[6]) for line in rows)
    spent = math.fsum(float(line[7]) for line in rows)
    return (
        RunCounts(
            total=by_status.total(),
            by_status=dict(sorted(by_status.items())),
            scored=scored,
        ),
        Tokens(
            tokens_in=sum(_whole(line[2], line[3]) for line in rows),
            tokens_out=sum(_whole(line[4], line[5]) for line in rows),
        ),
        Cost(count=priced, total=spent, average=spent / priced) if priced else None,
    )


def _whole(high: Any, low: Any) -> int:  # noqa: ANN401  a driver's own types
    """Join two halves of 32 bits; both are NULL where there is no value."""
    return (int(high or 0) << 32) + int(low or 0)


def timing(session: Session, row: ExperimentRow) -> Timing | None:
    """Return the durations of completed runs, None where none has one."""
    key = session.key(row.experiment.id)
    count, fastest, slowest, total = session.all(_DURATIONS, key)[0]
    if not count:
        return None
    places = {
        place: float(value) for place, value in session.all(_DURATION_PLACES, key)
    }
    return Timing(
        count=count,
        fastest=fastest,
        slowest=slowest,
        average=float(total) / count,
        median=_quantile(places, count, 50),
        p95=_quantile(places, count, 95),
        total=float(total),
    )


def scorers(session: Session, row: ExperimentRow) -> Iterator[ScorerStatistics]:
    """Yield the statistics of every scorer, by name."""
    key = session.key(row.experiment.id)
    summaries = sorted(session.all(_SUMMARIES, key), key=lambda line: label(line[0]))
    places: dict[str, dict[int, float]] = {}
    for scorer, place, value in session.all(_SCORE_PLACES, key):
        places.setdefault(scorer, {})[place] = value
    bars: dict[str, dict[int, int]] = {}
    bar = _BAR[session.kind].format(value="value", low="low", high="high", bars=BINS)
    for scorer, number, count in session.all(_HISTOGRAM.format(bar=bar), key):
        bars.setdefault(scorer, {})[number] = count
    for scorer, count, low, high, mean, variance in summaries:
        rule = rules.rule(row.experiment.scoring_config, label(scorer))
        values = {"count": count, "min": low, "max": high, "mean": mean}
        if variance is not None:
            values["standard_deviation"] = math.sqrt(variance)
        for name, percent in (("q1", 25), ("median", 50), ("q3", 75)):
            values[name] = _quantile(places[scorer], count, percent)
        yield ScorerStatistics(
            name=label(scorer),
            direction=rule.direction,
            weight=rule.weight,
            required=rule.required,
            values=values,
            histogram=_histogram(low, high, bars[scorer]),
        )


def history(session: Session, row: ExperimentRow) -> Iterator[Period]:
    """Yield the weighted scores of equal stretches of time that have any."""
    query, values = ranked(session, row)
    kind = session.kind
    sql = _HISTORY.format(
        epoch=_EPOCH[kind],
        ranked=query,
        mean=f"{_sum('weighted_score')} / count(*)",
        bar=_BAR[kind].format(value="created", low="low", high="high", bars=PERIODS),
    )
    best_so_far = -math.inf
    for number, count, best, mean, low, high in session.all(sql, *values):
        best_so_far = max(best_so_far, best)
        width = (high - low) / PERIODS
        yield Period(
            start=datetime.fromtimestamp(low + number * width, UTC),
            end=datetime.fromtimestamp(low + (number + 1) * width, UTC),
            count=count,
            best=best,
            mean=mean,
            best_so_far=best_so_far,
        )


def _quantile(places: dict[int, float], count: int, percent: int) -> float:
    """Interpolate linearly between the two nearest of the sorted values."""
    place, hundredths = divmod((count - 1) * percent, 100)
    low = places[place]
    return low if not hundredths else low + (places[place + 1] - low) * hundredths / 100


def _histogram(low: float, high: float, counts: dict[int, int]) -> tuple[Bin, ...]:
    if low == high:
        return (Bin(low=low, high=high, count=counts[0]),)
    edges = [low + (high - low) * place / BINS for place in range(BINS)] + [high]
    return tuple(
        Bin(low=edges[bar], high=edges[bar + 1], count=counts.get(bar, 0))
        for bar in range(BINS)
    )
