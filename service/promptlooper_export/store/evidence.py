"""What the rows of an experiment say about its configs, whose runs are repeats.

One statement sums up all configs; the judgements of the few that are looked at closely
are read as they are. A sum over all of them depends in its last digit on the order in
which the database adds.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from promptlooper_export.analysis.evidence import Evidence, Sample
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.aggregate import (
    SAME_CONFIG,
    ConfigLine,
    configs_statement,
)
from promptlooper_export.store.ranking import Place, Ranking, ScoreReader
from promptlooper_export.store.rows import is_utf_8, label, row_id
from promptlooper_export.store.scoring import (
    Rules,
    finite_means,
    weighted_score,
)

LEADERS = 10
"""How many of the best configs are looked at closely."""

_MOST_SCORERS = 100
"""With more scorers than this, the statement would have too many columns."""

_LARGEST = 1e100
"""The statement leaves larger scores out: their squares are no doubles."""

_CONFIG_OF = "SELECT {same} FROM {runs} AS run WHERE run.id = ?"

_CONFIGS_WITH = """
SELECT DISTINCT {same} FROM {runs} AS run
WHERE experiment_id {experiment} AND {condition} LIMIT 2
"""

_ID = re.compile("[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)

_SHOWN = 80
"""How many characters of a reference an error repeats."""

_JUDGEMENTS = """
SELECT
    {same} AS config, run.id, run.config_hash, score.scorer_name, score.case_id,
    score.value
{completed} AND {same} IN ({marks})
ORDER BY 1, 2
"""


def read_evidence(
    reader: ScoreReader, rules: Rules, ranking: Ranking, *, configs: Collection[str]
) -> Evidence | None:
    """Return what is known of the configs of an experiment.

    The config of the ranking's winner and `configs`, by their keys, are looked at
    closely besides the best ones. None if no run counts, if there are too many scorers
    for the statement, if the winner's score is too large for it, or if its config_hash
    is not text.
    """
    columns = sorted(filter(is_utf_8, ranking.scorers | rules.required))
    if not ranking.places or len(columns) > _MOST_SCORERS:
        return None
    catalog, session = reader.catalog, reader.session
    center = ranking.places[0].weighted_score
    if abs(center) > _LARGEST:
        return None
    sql, names, factors = configs_statement(
        catalog,
        reader.completed_scores,
        rules,
        columns,
        is_most=catalog.kind == "sqlite" and reader.is_most(),
        center=center,
        limit=LEADERS,
    )
    rows = session.all(sql, *names, *reader.values, *factors)
    lines = [ConfigLine(*row) for row in rows]
    if not lines:
        return None
    winner = config_of(reader, ranking.places[0])
    wanted = [*(line.config for line in lines), winner, *configs]
    samples = {one.key: one for one in _samples(reader, rules, wanted)}
    if winner not in samples:
        return None
    all_ = lines[0]
    means = all_.means / all_.configs
    spread = max(0.0, all_.squared_means - all_.means * means)
    repeats = all_.runs - all_.configs
    return Evidence(
        winner=winner,
        configs=all_.configs,
        runs=all_.runs,
        mean=center + means,
        variance=spread / (all_.configs - 1) if all_.configs > 1 else 0.0,
        within=max(0.0, all_.within) / repeats if repeats else None,
        samples=samples,
    )


def evidence_size(evidence: Evidence | None) -> int:
    """Return about how many bytes evidence takes up."""
    samples = () if evidence is None else evidence.samples.values()
    return sum(1000 + 32 * len(one.runs) + 200 * len(one.cases) for one in samples)


def find_config(reader: ScoreReader, reference: str) -> str:
    """Return the key of the config that a run's id or name or a config_hash stands for.

    Raises InvalidParameterError for none and for several.
    """
    conditions: list[tuple[str, list[object]]] = []
    if _can_be_sent(reference):
        columns = ("run.config_hash", "run.name")
        conditions = [(f"{column} = ?", [reference]) for column in columns]
    if _ID.fullmatch(reference):
        clause, values = reader.catalog.id("runs.id", UUID(reference))
        conditions.insert(0, (f"run.id {clause}", values))
    for condition, values in conditions:
        sql = _CONFIGS_WITH.format(
            same=SAME_CONFIG,
            runs=reader.catalog.runs,
            experiment=reader.experiment,
            condition=condition,
        )
        found = reader.session.all(sql, *reader.values, *values)
        if len(found) > 1:
            detail = (
                f"{reference!r} is the name of runs of several configs; "
                "name the baseline by the id of a run or by its config_hash."
            )
            raise InvalidParameterError(detail, parameter="baseline")
        if found:
            key: str = found[0][0]
            return key
    detail = (
        f"The experiment has no run with the id or name {reference[:_SHOWN]!r}, and no "
        "config with that config_hash."
    )
    raise InvalidParameterError(detail, parameter="baseline")


def _can_be_sent(key: object) -> bool:
    """Return whether a database takes the key; SQLite may hold anything for a text."""
    return isinstance(key, str) and "\0" not in key and is_utf_8(key)


def config_of(reader: ScoreReader, place: Place) -> str:
    """Return the key of a run's config."""
    sql = _CONFIG_OF.format(same=SAME_CONFIG, runs=reader.catalog.runs)
    key: str = reader.session.value(sql, place.key)
    return key


@dataclass(kw_only=True)
class _Judged:
    """The judgements of a config, as far as they have been read.

    `cases` holds them by case and scorer, `general` by scorer if they name no case.
    """

    config_hash: str | None = None
    best: tuple[float, UUID] | None = None
    runs: list[float] = field(default_factory=list)
    cases: dict[str, dict[str, list[object]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    general: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self,
        rules: Rules,
        run_id: UUID,
        judgements: Sequence[tuple[str, str | None, object]],
    ) -> None:
        """Add a run, if it counts, by its judgements: scorer, case and value."""
        judged: dict[str, list[object]] = defaultdict(list)
        for scorer, _, value in judgements:
            judged[scorer].append(value)
        score = weighted_score(rules, finite_means(judged))
        if score is None or abs(score) > _LARGEST:
            return
        self.runs.append(score)
        # Runs come by their ids: of equal ones, the smallest id stays.
        if self.best is None or score > self.best[0]:
            self.best = score, run_id
        for scorer, case, value in judgements:
            by_scorer = self.general if case is None else self.cases[case]
            by_scorer[scorer].append(value)

    def scores_of_cases(self, rules: Rules) -> Iterator[tuple[str, float]]:
        """Yield each case with its weighted score.

        What a scorer says of no case in particular, such as a cost, counts for each.
        A case that lacks a scorer of others would not be comparable, and is left out.
        """
        general = finite_means(self.general)
        means = {case: finite_means(judged) for case, judged in self.cases.items()}
        scorers = frozenset().union(*means.values())
        for case, found in means.items():
            if found.keys() == scorers:
                score = weighted_score(rules, {**general, **found})
                if score is not None:
                    yield case, score


def _samples(
    reader: ScoreReader, rules: Rules, configs: Iterable[str]
) -> Iterator[Sample]:
    wanted = list(filter(_can_be_sent, dict.fromkeys(configs)))
    sql = _JUDGEMENTS.format(
        completed=reader.completed_scores,
        same=SAME_CONFIG,
        marks=", ".join("?" * len(wanted)),
    )
    rows = reader.session.stream(sql, *reader.values, *wanted)
    for config, of_config in groupby(rows, key=lambda row: row[0]):
        judged = _Judged()
        for key, of_run in groupby(of_config, key=lambda row: row[1]):
            found = list(of_run)
            judged.config_hash = found[0][2]
            judged.add(
                rules,
                row_id(key, "runs"),
                [
                    (label(scorer), None if case is None else label(case), value)
                    for *_, scorer, case, value in found
                ],
            )
        if judged.best is not None:
            yield Sample(
                key=config,
                config_hash=judged.config_hash or "",
                run_id=judged.best[1],
                runs=tuple(judged.runs),
                cases=dict(judged.scores_of_cases(rules)),
            )
