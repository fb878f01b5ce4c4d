"""What the rows of an experiment say about its configs, whose runs are repeats.

One statement sums up all configs; the judgements of the few that are looked at closely
are read as they are. A sum over all of them depends in its last digit on the order in
which the database adds.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import groupby
from operator import itemgetter
from statistics import fmean, variance
from typing import NamedTuple
from uuid import UUID

from promptlooper_export.analysis.evidence import LEADERS, Evidence, Sample
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.aggregate import (
    SAME_CONFIG,
    ConfigLine,
    configs_statement,
)
from promptlooper_export.store.groups import ConfigGroup
from promptlooper_export.store.ranking import Ranking, ScoreReader
from promptlooper_export.store.rows import is_utf_8, label, row_id
from promptlooper_export.store.scoring import (
    Rules,
    finite_means,
    weighted_score,
)

MOST_RUNS = 2000
"""How many runs are read of those of one config; more would not fit a statement."""

_MOST_SCORERS = 100
"""With more scorers than this, the statement would have too many columns."""

_LARGEST = 1e100
"""The statement leaves larger scores out: their squares are no doubles."""

_CONFIG_OF = "SELECT {same} FROM {runs} AS run WHERE run.id = ?"

# The first and the last by config: are they the same?
_RUNS_WITH = """
SELECT id, config FROM (
    SELECT
        run.id, {same} AS config, row_number() OVER (ORDER BY {same}, run.id) AS number,
        count(*) OVER () AS total
    FROM {runs} AS run WHERE experiment_id {experiment} AND {condition}
) AS found
WHERE number IN (1, total) ORDER BY number
"""

_ID = re.compile("[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)

_SHOWN = 80
"""How many characters of a reference an error repeats."""

_JUDGEMENTS = """
SELECT
    {same} AS config, run.id, run.config_hash, score.scorer_name, score.case_id,
    score.value
{completed} AND {condition}
ORDER BY {order}
"""


def read_evidence(
    reader: ScoreReader, rules: Rules, ranking: Ranking, *, run: object
) -> Evidence | None:
    """Return what is known of the configs of an experiment.

    The configs of the ranking's winner and of `run`, by its key, are looked at closely
    besides the best ones. None if no run counts, if there are too many scorers
    for the statement, if the winner's score is too large for it, or if its config_hash
    is not text.
    """
    columns = sorted(filter(is_utf_8, ranking.scorers | rules.required))
    if not ranking.places or len(columns) > _MOST_SCORERS:
        return None
    center = ranking.places[0].weighted_score
    if abs(center) > _LARGEST:
        return None
    lines = _lines(reader, rules, columns, center)
    winner = config_of(reader, ranking.places[0].key)
    asked = None if run is None else config_of(reader, run)
    wanted = {*(line.config for line in lines), winner, asked}
    keys = list(filter(_can_be_sent, wanted))
    marks = ", ".join("?" * len(keys))
    condition = f"{SAME_CONFIG} IN ({marks})"
    samples = read_samples(reader, rules, condition, keys, lambda row: [row.config])
    if not lines or winner not in samples:
        return None
    all_ = lines[0]
    means = all_.means / all_.configs
    spread = max(0.0, all_.squared_means - all_.means * means)
    repeats = all_.runs - all_.configs
    return Evidence(
        winner=winner,
        asked=asked if asked in samples else None,
        configs=all_.configs,
        runs=all_.runs,
        mean=center + means,
        variance=spread / (all_.configs - 1) if all_.configs > 1 else 0.0,
        within=max(0.0, all_.within) / repeats if repeats else None,
        samples=samples,
    )


def _lines(
    reader: ScoreReader, rules: Rules, columns: Sequence[str], center: float
) -> list[ConfigLine]:
    sql, names, factors = configs_statement(
        reader.catalog,
        reader.completed_scores,
        rules,
        columns,
        is_most=reader.catalog.kind == "sqlite" and reader.is_most(),
        center=center,
        limit=LEADERS,
    )
    rows = reader.session.all(sql, *names, *reader.values, *factors)
    return [ConfigLine(*row) for row in rows]


def read_repeats(
    reader: ScoreReader,
    rules: Rules,
    ranking: Ranking,
    groups: Iterable[ConfigGroup],
    *,
    run: object,
) -> Evidence | None:
    """Return the same with the repeats that `groups` hold, instead of equal configs.

    The keys of samples are the ids of their oldest runs.
    """
    if not ranking.places:
        return None
    best = ranking.places[0].key
    census = _Census()
    closely: list[ConfigGroup] = []
    for group in groups:
        keys = {member.key for member in group.runs}
        if census.add(group) and not keys.isdisjoint((best, run)):
            closely.append(group)
    of_run = {
        member.key: str(group.runs[0].run_id)
        for group in [*closely, *(group for _, group in census.best)]
        for member in group.runs[:MOST_RUNS]
    }
    condition = f"run.id IN ({', '.join('?' * len(of_run))})"
    samples = read_samples(
        reader, rules, condition, list(of_run), lambda row: [of_run[row.key]]
    )
    if of_run.get(best) not in samples:
        return None
    return census.evidence(of_run[best], of_run.get(run), samples)


@dataclass(kw_only=True)
class _Census:
    """What is known of the groups so far; `best` are those with the highest means."""

    means: list[float] = field(default_factory=list)
    runs: int = 0
    within: float = 0.0
    best: list[tuple[float, ConfigGroup]] = field(default_factory=list)

    def add(self, group: ConfigGroup) -> bool:
        """Count a group, unless its scores are too large."""
        scores = [run.weighted_score for run in group.runs]
        if any(abs(score) > _LARGEST for score in scores):
            return False
        mean = fmean(scores)
        self.means.append(mean)
        self.runs += len(scores)
        self.within += math.fsum((score - mean) ** 2 for score in scores)
        self.best = nlargest(LEADERS, [*self.best, (mean, group)], key=itemgetter(0))
        return True

    def evidence(
        self, winner: str, asked: str | None, samples: Mapping[str, Sample]
    ) -> Evidence:
        """Return what is known of all groups and, closely, of the samples."""
        configs = len(self.means)
        repeats = self.runs - configs
        return Evidence(
            winner=winner,
            asked=asked if asked in samples else None,
            configs=configs,
            runs=self.runs,
            mean=fmean(self.means),
            variance=variance(self.means) if configs > 1 else 0.0,
            within=self.within / repeats if repeats else None,
            samples=samples,
        )


def evidence_size(evidence: Evidence | None) -> int:
    """Return about how many bytes evidence takes up."""
    samples = () if evidence is None else evidence.samples.values()
    return sum(1000 + 150 * len(one.runs) + 200 * len(one.cases) for one in samples)


def find_run(reader: ScoreReader, reference: str) -> object:
    """Return the key of a run by its id or name, or of one of a config by its hash.

    Raises InvalidParameterError for none, and for runs of several configs.
    """
    conditions: list[tuple[str, list[object]]] = []
    if _can_be_sent(reference):
        columns = ("run.config_hash", "run.name")
        conditions = [(f"{column} = ?", [reference]) for column in columns]
    if _ID.fullmatch(reference):
        clause, values = reader.catalog.id("runs.id", UUID(reference))
        conditions.insert(0, (f"run.id {clause}", values))
    for condition, values in conditions:
        sql = _RUNS_WITH.format(
            same=SAME_CONFIG,
            runs=reader.catalog.runs,
            experiment=reader.experiment,
            condition=condition,
        )
        found = reader.session.all(sql, *reader.values, *values)
        if found and found[0][1] != found[-1][1]:
            detail = (
                f"{reference!r} is the name of runs of several configs; "
                "name the baseline by the id of a run or by its config_hash."
            )
            raise InvalidParameterError(detail, parameter="baseline")
        if found:
            key: object = found[0][0]
            return key
    detail = (
        f"The experiment has no run with the id or name {reference[:_SHOWN]!r}, and no "
        "config with that config_hash."
    )
    raise InvalidParameterError(detail, parameter="baseline")


def _can_be_sent(key: object) -> bool:
    """Return whether a database takes the key; SQLite may hold anything for a text."""
    return isinstance(key, str) and "\0" not in key and is_utf_8(key)


def config_of(reader: ScoreReader, run: object) -> str:
    """Return the key of the config of a run, by the run's key."""
    sql = _CONFIG_OF.format(same=SAME_CONFIG, runs=reader.catalog.runs)
    key: str = reader.session.value(sql, run)
    return key


class Judgement(NamedTuple):
    """A judgement of a completed run; `key` is the run's id as stored."""

    config: str
    key: object
    config_hash: str | None
    scorer: object
    case: object
    value: object


@dataclass(kw_only=True)
class _Judged:
    """The judgements of a config, as far as they have been read.

    `cases` holds them by case and scorer, `general` by scorer if they name no case.
    """

    config_hash: str | None = None
    best: tuple[float, UUID] | None = None
    runs: list[float] = field(default_factory=list)
    keys: list[object] = field(default_factory=list)
    cases: dict[str, dict[str, list[object]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    general: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rules: Rules, judgements: Sequence[Judgement]) -> None:
        """Add a run, if it counts, by all of its judgements, of which it has some."""
        self.config_hash = judgements[0].config_hash
        judged: dict[str, list[object]] = defaultdict(list)
        for one in judgements:
            judged[label(one.scorer)].append(one.value)
        score = weighted_score(rules, finite_means(judged))
        if score is None or abs(score) > _LARGEST:
            return
        key = judgements[0].key
        self.runs.append(score)
        self.keys.append(key)
        # Runs come by their ids: of equal ones, the smallest id stays.
        if self.best is None or score > self.best[0]:
            self.best = score, row_id(key, "runs")
        for one in judgements:
            by_scorer = (
                self.general if one.case is None else self.cases[label(one.case)]
            )
            by_scorer[label(one.scorer)].append(one.value)

    def sample(self, key: str, rules: Rules) -> Sample | None:
        """Return what is known of the config with this key; None if no run counts."""
        if self.best is None:
            return None
        return Sample(
            key=key,
            config_hash=self.config_hash or "",
            run_id=self.best[1],
            runs=tuple(self.runs),
            keys=tuple(self.keys),
            cases=dict(self._scores_of_cases(rules)),
        )

    def _scores_of_cases(self, rules: Rules) -> Iterator[tuple[str, float]]:
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


def read_samples(
    reader: ScoreReader,
    rules: Rules,
    condition: str,
    values: Sequence[object],
    samples_of: Callable[[Judgement], Iterable[str]],
) -> dict[str, Sample]:
    """Read the runs that fulfil a condition as samples, each under its keys."""
    if not values:
        return {}
    sql = _JUDGEMENTS.format(
        completed=reader.completed_scores,
        same=SAME_CONFIG,
        condition=condition,
        # A unary plus keeps SQLite from reading all runs in the order of their ids.
        order="+run.id" if reader.catalog.kind == "sqlite" else "run.id",
    )
    rows = map(Judgement._make, reader.session.stream(sql, *reader.values, *values))
    found: defaultdict[str, _Judged] = defaultdict(_Judged)
    for _, of_run in groupby(rows, key=lambda row: row.key):
        judgements = list(of_run)
        for key in samples_of(judgements[0]):
            found[key].add(rules, judgements)
    samples = {key: judged.sample(key, rules) for key, judged in found.items()}
    return {key: sample for key, sample in samples.items() if sample is not None}
