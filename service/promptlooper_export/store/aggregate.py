"""The statement that adds up the scores of every run of an experiment.

It works in the database's own arithmetic, and says up to which value each weighted
score may turn out, so that `ranking` need look closely at the best ones only. There is
a column for each scorer, named or not by the rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Row, Session
from promptlooper_export.store.scoring import Rules

# Scores of completed runs. SQLite never reorders a CROSS JOIN: without statistics it
# might read every experiment's scores first.
_COMPLETED = """
FROM {runs} AS run {join} {scores} AS score ON {same_run}
WHERE run.experiment_id {experiment} AND run.status = 'completed'
"""

# A run is `decided` if its largest score is in size between 1e-80 and 1e100, or all are
# 0: then no product or sum of a few thousand leaves the range of a double, which
# PostgreSQL refuses. The sums are added in the database's order and rounded at each
# step, so that they can only bound the weighted score.
#
# `upper` is the computed score plus what it may be off by: each of the additions and
# products is off by 2^-53 of the values' size at most, and 4e-16 is more than three
# times that. Infinity puts what cannot be decided before everything else.
#
# A subselect in a subselect: SQLite would write each WITH to a table of its own, since
# what uses them is used twice.
_READY = """(
    SELECT
        judged.*, {number} AS number,
        CASE WHEN given = ({number}) AND low >= -1e100 AND high <= 1e100
            AND (high >= 1e-80 OR low <= -1e-80 OR (high = 0 AND low = 0))
            THEN 1 ELSE 0 END AS decided
    FROM (
        SELECT
            run.id AS run_id, count(*) AS judgements, count(score.value) AS given,
            max(score.value) AS high, min(score.value) AS low{totals}{carried}
        {completed}
        GROUP BY {group}
    ) AS judged
)"""

_RANKED = f"""
WITH ready AS {_READY},
summary AS (
    SELECT
        sum(judgements - given) AS missing,
        sum(given - number) AS unknown,
        sum(CASE WHEN given > 0 AND decided = 1 AND {{required}} THEN 1 ELSE 0 END)
            AS counted{{present}}
    FROM ready
),
top AS (
    SELECT
        ready.*,
        CASE
            WHEN decided = 0 OR {{is_doubtful}} THEN {{infinity}}
            ELSE {{score}}
                + (number + 32) * 4e-16 * (abs(high) + abs(low)) * {{stretch}}
        END AS upper
    FROM ready CROSS JOIN ({{rules}}) AS rule
    WHERE given > 0 AND (decided = 0 OR {{required}})
    ORDER BY upper DESC LIMIT {{limit}}
)
SELECT
    summary.missing, summary.unknown, summary.counted, top.run_id,
    (SELECT moment FROM {{runs}} AS run WHERE run.id = top.run_id),
    top.upper, top.decided, {{columns}}
FROM summary LEFT JOIN top ON 1 = 1
ORDER BY 6 DESC
"""

# The scores of configs, whose runs are repeats. Sums are taken around a center near the
# best scores, so that squares do not swallow what tells the best configs apart.
_CONFIGS = f"""
WITH config AS (
    SELECT
        {{config}} AS config, count(*) AS number,
        sum(score) AS total, sum(score * score) AS squares,
        sum(score) / count(*) AS mean
    FROM (
        SELECT {{found_by}}, {{score}} - center AS score
        FROM {_READY} AS ready CROSS JOIN ({{rules}}) AS rule
        WHERE given > 0 AND decided = 1 AND {{required}} {{whole}}
    ) AS scored {{of_run}}
    GROUP BY {{config}}
),
summary AS (
    SELECT
        count(*) AS configs, CAST(sum(number) AS bigint) AS runs, sum(mean) AS means,
        sum(mean * mean) AS squared_means, sum(squares - total * mean) AS within
    FROM config
)
SELECT
    configs, runs, means, squared_means, within, config, number
FROM summary CROSS JOIN config
ORDER BY mean DESC, config LIMIT {{limit}}
"""

# An empty hash is what a table without such a column is read as.
SAME_CONFIG = "coalesce(nullif(run.config_hash, ''), run.config, CAST(run.id AS text))"
"""What is the same for the runs of one config; each is one without hash and config."""

# How the statement for configs comes to a run's config: by looking the run up again.
_LOOKED_UP = {
    "carried": "",
    "found_by": "run_id",
    "whole": "",
    "of_run": "JOIN {runs} AS run ON run.id = scored.run_id",
    "config": SAME_CONFIG,
}

# Or by taking it along, which SQLite allows for what is the same in all rows of a
# group. The limit keeps it from computing the score anew wherever it is named.
_CARRIED = {
    "carried": f", {SAME_CONFIG} AS config",
    "found_by": "config",
    "whole": "LIMIT -1",
    "of_run": "",
    "config": "scored.config",
}

# A scorer's total and number of judgements; of what is beyond, only the number. Unlike
# sum(), SQLite's total() is a double from the first integer on, and becomes infinite
# where PostgreSQL's sum() fails, hence BETWEEN.
_COLUMN = {
    "sqlite": """,
        total(CASE WHEN score.scorer_name = ? THEN score.value END) AS t{place},
        count(CASE WHEN score.scorer_name = ? THEN score.value END) AS n{place}""",
    "postgresql": """,
        sum(CASE WHEN score.scorer_name = ? AND score.value BETWEEN -1e100 AND 1e100
            THEN score.value END) AS t{place},
        count(CASE WHEN score.scorer_name = ? THEN score.value END) AS n{place}""",
}

# Whether any run has a scorer; a run that is not decided is looked at closely.
_PRESENT = """,
        max(CASE WHEN decided = 1 THEN n{0} END) AS p{0}"""

# A total next to 0 counts as 0: PostgreSQL refuses products that underflow.
_MEAN = "CASE WHEN n{0} > 0 AND abs(t{0}) > 1e-100 THEN t{0} / n{0} ELSE 0 END"


class Line(NamedTuple):
    """A row of the statement's answer: the summary of all runs, and one run.

    `missing` counts judgements that are NULL, `unknown` those by scorers without a
    column, and `counted` the runs that count as far as the statement can decide it.
    `upper` is what the run's weighted score may be at most. `totals`, `numbers` and
    `present` have an item for each scorer: its total for the run, its number of
    judgements of the run, and whether it judged any run. `key` is None if no run is
    there to be ranked.
    """

    missing: int | None
    unknown: int | None
    counted: int | None
    key: object
    moment: int | None
    upper: float
    is_decided: int
    totals: tuple[float, ...]
    numbers: tuple[int, ...]
    present: tuple[int | None, ...]

    @classmethod
    def of(cls, row: Row) -> "Line":
        """Take a row, whose columns after the first seven go by threes."""
        missing, unknown, counted, key, moment, upper, is_decided, *_ = row
        return cls(
            missing, unknown, counted, key, moment, upper, is_decided,
            totals=row[7::3], numbers=row[8::3], present=row[9::3],
        )  # fmt: skip


class ConfigLine(NamedTuple):
    """A row of the statement's answer: the summary of all configs, and one config.

    `configs` and `runs` count those that count, `means` and `squared_means` are the
    sums of the configs' means and their squares, and `within` is the sum of the squared
    distances of runs from their config's mean. `number` is the config's runs.
    """

    configs: int
    runs: int
    means: float
    squared_means: float
    within: float
    config: str
    number: int


def sources(
    session: Session, catalog: Catalog, experiment: UUID
) -> tuple[dict[str, str], list[object]]:
    """Return what a statement over an experiment's scores names, and its values.

    `runs` and `scores` are to be called `run` and `score`; `same_run` joins them, and
    `experiment` is what follows the column of that name.
    """
    clause, values = catalog.id("runs.experiment_id", experiment)
    names = {
        "runs": catalog.runs,
        "scores": catalog.scores,
        "experiment": clause,
        "same_run": catalog.same_run(session, "scores", "score.run_id"),
    }
    return names, values


def completed_scores(kind: str, names: Mapping[str, str]) -> str:
    """Return what follows FROM for the scores of an experiment's completed runs."""
    return _COMPLETED.format(join="CROSS JOIN" if kind == "sqlite" else "JOIN", **names)


def statement(
    catalog: Catalog,
    completed: str,
    rules: Rules,
    columns: Sequence[str],
    *,
    is_most: bool,
    limit: int | None,
) -> tuple[str, list[str], list[float]]:
    """Return the statement for these scorers, and its values.

    `completed` is what follows FROM; its own values stand between the two lists. If the
    experiment has most of all runs (`is_most`), SQLite reads them in the order of their
    ids; it would do so in any case, and read those of other experiments as well.

    Each row of its answer is a `Line`, the likeliest run first.
    """
    numbers = range(len(columns))
    is_sqlite = catalog.kind == "sqlite"
    parts, names, factors = _parts(rules, columns, catalog.kind, is_most=is_most)
    sql = _RANKED.format(
        **parts,
        carried="",
        completed=completed,
        runs=catalog.runs,
        present="".join(_PRESENT.format(i) for i in numbers),
        infinity="9e999" if is_sqlite else "CAST('infinity' AS double precision)",
        limit=("-1" if is_sqlite else "ALL") if limit is None else limit,
        columns=", ".join(f"top.t{i}, top.n{i}, summary.p{i}" for i in numbers) or "1",
    )
    return sql, names, factors


def configs_statement(
    catalog: Catalog,
    completed: str,
    rules: Rules,
    columns: Sequence[str],
    *,
    is_most: bool,
    center: float,
    limit: int,
) -> tuple[str, list[str], list[float]]:
    """Return the statement for the best configs, and its values, as `statement` does.

    Each row of its answer is a `ConfigLine`, the best config first. Sums are taken
    around `center`.
    """
    parts, names, factors = _parts(
        rules, columns, catalog.kind, is_most=is_most, factors={"center": center}
    )
    # If SQLite must sort the scores of runs, their configs would be sorted with them.
    way = _CARRIED if is_most else _LOOKED_UP
    ways = {name: sql.format(runs=catalog.runs) for name, sql in way.items()}
    sql = _CONFIGS.format(**parts, **ways, completed=completed, limit=limit)
    return sql, names, factors


def _parts(
    rules: Rules,
    columns: Sequence[str],
    kind: str,
    *,
    is_most: bool,
    factors: Mapping[str, float] = MappingProxyType({}),
) -> tuple[dict[str, str], list[str], list[float]]:
    """Return what both statements are made of, and their values.

    `factors` are further columns of the row that holds the rules.
    """
    numbers = range(len(columns))
    weighed = [place for place in numbers if columns[place] in rules.weights]
    is_negative = any(rules.weights[columns[place]] < 0 for place in weighed)
    named = {f"w{i}": rules.weights[columns[i]] for i in weighed}
    named |= {f"s{i}": float(rules.sign(columns[i])) for i in numbers}
    named |= factors
    rule = ", ".join(f"CAST(? AS double precision) AS {name}" for name in named)
    # A unary plus keeps SQLite from the index on ids: see is_most in `ranking`.
    parts = {
        **_sums(numbers, weighed, is_negative=is_negative),
        "rules": f"SELECT {rule or '1 AS unweighed'}",
        "group": "run.id" if is_most or kind != "sqlite" else "+run.id",
        "totals": "".join(_COLUMN[kind].format(place=i) for i in numbers),
        "required": f"({' AND '.join(_required(rules, columns)) or '1 = 1'})",
    }
    names = [name for name in columns for _ in range(2)]
    return parts, names, list(named.values())


def _sums(
    numbers: Sequence[int], weighed: Sequence[int], *, is_negative: bool
) -> dict[str, str]:
    """Return the sums over the columns.

    If a weight `is_negative`, the sum of weights may be next to nothing: then a run is
    doubtful, and what its score may be off by is stretched.
    """

    def sum_of(parts: Iterable[str]) -> str:
        return " + ".join(parts) or "0"

    def given(value: str, places: Sequence[int]) -> str:
        return sum_of(
            f"CASE WHEN n{i} > 0 THEN {value.format(i)} ELSE 0 END" for i in places
        )

    weight, weights = f"({given('w{0}', weighed)})", f"({given('abs(w{0})', weighed)})"
    weighted = sum_of(f"w{i} * s{i} * {_MEAN.format(i)}" for i in weighed)
    plain = sum_of(f"s{i} * {_MEAN.format(i)}" for i in numbers)
    scorers = f"nullif({given('1', numbers)}, 0)"
    return {
        "score": f"CASE WHEN {weight} > 0 THEN ({weighted}) / ({weight}) "
        f"ELSE ({plain}) / {scorers} END",
        "number": sum_of(f"n{i}" for i in numbers),
        "is_doubtful": f"({weight} <> {weights} AND abs({weight}) <= 1e-9 * {weights})"
        if is_negative
        else "1 = 0",
        "stretch": f"(CASE WHEN {weight} > 0 THEN {weights} / {weight} ELSE 1 END)"
        if is_negative
        else "1",
    }


def _required(rules: Rules, columns: Sequence[str]) -> Iterator[str]:
    for name in sorted(rules.required):
        # A name without a column is one that no driver can send: no run has its score.
        yield f"n{columns.index(name)} > 0" if name in columns else "1 = 0"
