"""The ranking of an experiment's runs, computed from its rows.

One statement adds up every run's scores in the database's own arithmetic, and says by
how much each result may be off. The runs that could be among the best are then decided
by the rule itself (`scoring`), whose sums are exact: the same winner to the last bit on
either database, at the cost of one aggregate.

The statement has a column for each scorer. What it cannot judge comes first in its
answer, as if it were the best, and is decided by the rule as well: scores that are very
large or very small, and scorers that it does not know.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.store.aggregate import (
    Line,
    completed_scores,
    sources,
    statement,
)
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.columns import FINITE
from promptlooper_export.store.connection import Row, Session
from promptlooper_export.store.judgements import judgements
from promptlooper_export.store.rows import is_utf_8, label, row_id
from promptlooper_export.store.scoring import (
    CompletedRun,
    Rules,
    finite_means,
    unusable,
    weighted_score,
)

PLACES = 101
"""How many of the best runs a ranking knows: the winner and 100 to compare it with."""

_BATCH = 500
"""Runs whose judgements are read together."""

_SPARE = 100
"""Runs that the first look takes beyond the places; ties may ask for more."""

_MOST_SCORERS = 16
"""With more scorers than this, the rule itself goes over all runs: it is as quick."""

_OLDEST = -(1 << 63)
"""The moment of a run without one: the same on both databases."""

_NAMED_RUNS = 10
"""How many runs with unusable scores a warning names; the rest are summed up."""

_NAMES = "SELECT DISTINCT scorer_name {completed}"

_SHARE = """
SELECT
    (SELECT count(*) FROM {runs} AS run WHERE experiment_id {experiment}),
    (SELECT count(*) FROM {runs} AS run)
"""

# IS NOT TRUE rather than NOT: the comparison is NULL if the score is, and a NULL score
# is what is looked for. PostgreSQL puts NaN above infinity, so BETWEEN excludes it.
_UNUSABLE = """
SELECT DISTINCT run.id {completed} AND (score.value {finite}) IS NOT TRUE
ORDER BY run.id LIMIT ?
"""

# NULLS FIRST is what SQLite does by itself; PostgreSQL would put them last. Ids end
# ties, so that both databases give the same order.
_ALL_COMPLETED = """
SELECT id, moment, cost_usd, duration_ms FROM {runs} AS run
WHERE experiment_id {experiment} AND status = 'completed'
ORDER BY {created} NULLS FIRST, id
"""

# To SQLite they are the same, and a column of the answer is not computed twice.
_CREATED = {"sqlite": "moment", "postgresql": "created"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A run that counts, and its weighted score; `key` is its id as stored."""

    run_id: UUID
    key: object
    weighted_score: float


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The best runs of an experiment, and what there is to say about all of them.

    `scored` counts the runs that count. `scorers` are those that any completed run has
    a finite score by; `notices` name the scores that cannot be used. If configs were
    ranked, each place is the best run of its config, and `election` says how it went.
    """

    places: tuple[Place, ...] = ()
    scored: int = 0
    scorers: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()
    election: Notice | None = None


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A run that may be among the best, and its place if it is."""

    score: float
    moment: int | None
    run_id: UUID
    key: object = field(compare=False)

    def precedence(self) -> tuple[float, int, str]:
        """Sort the better run first, then the older, then that of the smaller id."""
        return (-self.score, *age(self.moment, self.run_id))


def age(moment: int | None, run_id: UUID) -> tuple[int, str]:
    """Sort the older run first, then that of the smaller id."""
    # By hex digits, because SQLite would compare ids in whichever spelling, and even
    # type, the column holds them.
    return (_OLDEST if moment is None else moment, run_id.hex)


def rank(
    session: Session,
    catalog: Catalog,
    experiment: UUID,
    rules: Rules,
    *,
    scorers: frozenset[str] | None = None,
) -> Ranking:
    """Return the ranking of an experiment by the rules.

    `scorers` are those that it had before; with the right ones, one pass is enough.
    """
    reader = ScoreReader(session, catalog, experiment)
    # Extreme weights would take the statement's products out of the range of a double.
    if all(map(_is_ordinary, rules.weights.values())):
        # Scorers hardly ever change, and to ask for their names reads every score once
        # more. A wrong guess shows: the statement counts scores by scorers it lacks.
        if scorers:
            ranking = _rank_quickly(reader, rules, scorers, is_guess=True)
            if ranking is not None:
                return ranking
        ranking = _rank_quickly(reader, rules, reader.scorer_names(), is_guess=False)
        if ranking is not None:
            return ranking
    return _rank_all(reader, rules)


class ScoreReader:
    """Reads the scores of one experiment's completed runs."""

    def __init__(self, session: Session, catalog: Catalog, experiment: UUID) -> None:
        self.session = session
        self.catalog = catalog
        names, self.values = sources(session, catalog, experiment)
        self.experiment = names["experiment"]
        self.completed_scores = completed_scores(catalog.kind, names)

    def is_most(self) -> bool:
        """Return whether the experiment has more than a quarter of all runs."""
        sql = _SHARE.format(runs=self.catalog.runs, experiment=self.experiment)
        ((own, every),) = self.session.all(sql, *self.values)
        # To group in the order of ids, SQLite reads other experiments' runs as well; if
        # they are few, that is still quicker than to sort its own.
        return bool(4 * own > every)

    def scorer_names(self) -> frozenset[str]:
        """Return the names of all scorers."""
        sql = _NAMES.format(completed=self.completed_scores)
        return frozenset(label(name) for (name,) in self.session.all(sql, *self.values))

    def all_completed(self) -> Iterator[Row]:
        """Yield the id, moment, cost and duration of completed runs, oldest first."""
        kind = self.catalog.kind
        sql = _ALL_COMPLETED.format(
            runs=self.catalog.runs, experiment=self.experiment, created=_CREATED[kind]
        )
        return self.session.stream(sql, *self.values)

    def completed(self) -> Iterator[CompletedRun]:
        """Yield every completed run, the oldest first."""
        rows = self.all_completed()
        while batch := list(islice(rows, _BATCH)):
            judged = judgements(self.session, self.catalog, [key for key, *_ in batch])
            for key, *cells in batch:
                yield CompletedRun(row_id(key, "runs"), key, judged[key], *cells)

    def unusable_scores(self) -> Iterator[Notice]:
        """Name the judgements that are NULL, NaN or infinite."""
        sql = _UNUSABLE.format(completed=self.completed_scores, finite=FINITE)
        rows = self.session.all(sql, *self.values, _NAMED_RUNS + 1)
        keys = [key for (key,) in rows]
        judged = judgements(self.session, self.catalog, keys[:_NAMED_RUNS])
        for key, found in judged.items():
            yield from unusable(found, row_id(key, "runs"))
        if len(keys) > _NAMED_RUNS:
            yield _further()


def _rank_all(reader: ScoreReader, rules: Rules) -> Ranking:
    """Rank by the rule alone."""
    scorers: set[str] = set()
    notices: list[Notice] = []
    named = scored = 0

    # A generator, so that nsmallest holds PLACES candidates and not all of them.
    def candidates() -> Iterator[_Candidate]:
        nonlocal named, scored
        for run_id, key, judged, moment, *_ in reader.completed():
            found = list(unusable(judged, run_id))
            named += bool(found)
            if found and named <= _NAMED_RUNS:
                notices.extend(found)
            values = finite_means(judged)
            scorers.update(values)
            score = weighted_score(rules, values)
            if score is not None:
                scored += 1
                yield _Candidate(score=score, moment=moment, run_id=run_id, key=key)

    best = nsmallest(PLACES, candidates(), key=_Candidate.precedence)
    if named > _NAMED_RUNS:
        notices.append(_further())
    return Ranking(
        places=_places(best),
        scored=scored,
        scorers=frozenset(scorers),
        notices=tuple(notices),
    )


def _rank_quickly(
    reader: ScoreReader, rules: Rules, scorers: frozenset[str], *, is_guess: bool
) -> Ranking | None:
    """Rank by one statement, and by the rule what it cannot tell apart.

    None if there are too many scorers, or others than was guessed.
    """
    # JSON may name half a surrogate pair in `required`, which no driver can send.
    columns = sorted(filter(is_utf_8, scorers | rules.required))
    if len(columns) > _MOST_SCORERS:
        return None
    found = _look(reader, rules, columns, PLACES + _SPARE)
    if is_guess and found.unknown:
        return None
    # So many runs may tie for the last places that the first look ended among them.
    if not found.is_settled:
        found = _look(reader, rules, columns, None)
    return Ranking(
        places=_places(found.best),
        scored=found.scored,
        scorers=frozenset(found.scorers),
        notices=tuple(reader.unusable_scores()) if found.is_flawed else (),
    )


@dataclass(kw_only=True)
class _Look:
    """What the statement gave, decided by the rule as far as it was read.

    `unknown` says that there are scores by other scorers, `is_flawed` that there may be
    scores which cannot be used, and `is_settled` that no other run could be among the
    best.
    """

    unknown: bool = False
    is_flawed: bool = False
    is_settled: bool = True
    scored: int = 0
    scorers: set[str] = field(default_factory=set)
    best: list[_Candidate] = field(default_factory=list)


def _look(
    reader: ScoreReader, rules: Rules, columns: list[str], limit: int | None
) -> _Look:
    """Read what the statement gives, the likeliest runs first, until it is settled."""
    sql, names, factors = statement(
        reader.catalog,
        reader.completed_scores,
        rules,
        columns,
        is_most=reader.catalog.kind == "sqlite" and reader.is_most(),
        limit=limit,
    )
    rows = reader.session.stream(sql, *names, *reader.values, *factors)
    look, read = _Look(), 0
    while batch := list(map(Line.of, islice(rows, _BATCH))):
        if not read:
            first = batch[0]
            look.unknown, look.is_flawed = bool(first.unknown), bool(first.missing)
            look.scored = int(first.counted or 0)
            seen = zip(columns, first.present, strict=False)
            look.scorers.update(name for name, most in seen if most)
        read += len(batch)
        _decide(
            reader, rules, columns, [one for one in batch if one.key is not None], look
        )
        # Lines come by falling upper bounds: once a bound is below the worst place, no
        # later run can take it. At equality one still could, being older.
        enough = len(look.best) == PLACES
        if enough and batch[-1].upper < look.best[-1].score:
            break
    else:
        look.is_settled = limit is None or read < limit
    rows.close()
    return look


def _decide(
    reader: ScoreReader,
    rules: Rules,
    columns: list[str],
    lines: list[Line],
    look: _Look,
) -> None:
    """Weigh the runs of some lines by the rule, and keep the best."""
    # A run that was judged once by each scorer has its values in the line itself: a sum
    # of one number is exact. Of several, the database has rounded the sum already.
    told = {
        line.key: {
            name: float(total)
            for name, total, count in zip(
                columns, line.totals, line.numbers, strict=False
            )
            if count
        }
        for line in lines
        if line.is_decided and all(count <= 1 for count in line.numbers)
    }
    untold = [line.key for line in lines if line.key not in told]
    judged = judgements(reader.session, reader.catalog, untold)
    told |= {key: finite_means(found) for key, found in judged.items()}
    # The places so far compete with the new runs, so that only PLACES are kept.
    candidates = list(look.best)
    for line in lines:
        score = weighted_score(rules, told[line.key])
        if not line.is_decided:  # the statement left it out of what it counted
            look.is_flawed = True
            look.scorers.update(told[line.key])
            look.scored += score is not None
        if score is not None:
            candidates.append(
                _Candidate(
                    score=score,
                    moment=line.moment,
                    run_id=row_id(line.key, "runs"),
                    key=line.key,
                )
            )
    look.best = nsmallest(PLACES, candidates, key=_Candidate.precedence)


def _places(best: Iterable[_Candidate]) -> tuple[Place, ...]:
    return tuple(
        Place(run_id=one.run_id, key=one.key, weighted_score=one.score) for one in best
    )


def _is_ordinary(weight: float) -> bool:
    return weight == 0 or 1e-100 <= abs(weight) <= 1e100  # noqa: PLR2004  as _ORDINARY


def _further() -> Notice:
    return Notice(
        code="score-not-finite",
        message="Further runs have scores that are not finite: none counts.",
    )
