"""Reads the decision record of an experiment: every run as a candidate."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from itertools import zip_longest
from typing import NamedTuple
from uuid import UUID

from promptlooper_export.decisions import (
    Candidate,
    Decision,
    Digest,
    Reason,
    Rule,
)
from promptlooper_export.store.completed import Batch, read_completed
from promptlooper_export.store.ranking import ScoreReader, age
from promptlooper_export.store.rows import Cells, row_id
from promptlooper_export.store.scoring import Rules

LISTED = 1000
"""How many candidates a record lists."""

_BATCH = 500

_COUNT = "SELECT count(*) FROM {runs} AS run WHERE experiment_id {experiment}"

_NOT_COMPLETED = """
SELECT id FROM {runs} AS run
WHERE experiment_id {experiment} AND status IS DISTINCT FROM 'completed'
ORDER BY created NULLS FIRST, id LIMIT ?
"""

_DETAILS = """
SELECT id, config_hash, created_at FROM {runs} AS run WHERE id IN ({marks})
"""


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """A candidate as far as the election needs it."""

    run_id: UUID
    key: object
    moment: int | None = None
    scores: Mapping[str, float]
    score: float | None = None
    reason: Reason | None = None

    def precedence(self) -> tuple[float, int, str]:
        return (-(self.score or 0.0), *age(self.moment, self.run_id))


class _Details(NamedTuple):
    config_hash: str
    created_at: datetime | None


@dataclass(kw_only=True)
class Tally:
    """The election as far as it was counted: who is listed, and a digest of all."""

    rules: Rules
    digest: Digest = field(default_factory=Digest)
    runs: int = 0
    eligible: int = 0
    best: list[_Standing] = field(default_factory=list)
    others: list[_Standing] = field(default_factory=list)
    _least: float = -math.inf

    def add(self, batch: Batch, scores: Sequence[float | None]) -> None:
        """Count the next runs."""
        for group in batch.groups:
            ids = [batch.ids[place] for place in group.places]
            self.digest.add_alike(ids, group.scorers, group.columns)
        self.runs += len(scores)
        absent = scores.count(None)
        self.eligible += len(scores) - absent
        listed = [
            place
            for place, score in enumerate(scores)
            if score is not None and score >= self._least
        ]
        if absent and len(self.others) < LISTED:
            listed += [place for place, score in enumerate(scores) if score is None]
        for place, values in sorted(batch.values(listed).items()):
            score = scores[place]
            (self.others if score is None else self.best).append(
                _Standing(
                    run_id=UUID(batch.ids[place]),
                    key=batch.keys[place],
                    moment=batch.moments[place],
                    scores=values,
                    score=score,
                    reason=_reason(self.rules, values) if score is None else None,
                )
            )
        # Twice as many, so that they are not sorted again for each batch.
        if len(self.best) >= 2 * LISTED:
            self.best = self.winners()
            self._least = self.best[-1].score or 0.0
        del self.others[LISTED:]

    def winners(self) -> list[_Standing]:
        """Return the best runs, as many as are listed."""
        return nsmallest(LISTED, self.best, key=_Standing.precedence)


def read_decision(
    reader: ScoreReader, rules: Rules, changed_at: datetime | None, tally: Tally
) -> Decision:
    """Return who stood for election by the rules, and who won.

    A tally that has not begun counts all runs first.
    """
    if not tally.runs:
        for batch in read_completed(reader):
            tally.add(batch, batch.weighted_scores(rules))
    best = tally.winners()
    listed = [*best, *tally.others][:LISTED]
    listed += _not_completed(reader, LISTED - len(listed))
    count = _COUNT.format(runs=reader.catalog.runs, experiment=reader.experiment)
    return Decision(
        rule=Rule(
            weights=dict(rules.weights),
            directions=dict(rules.directions),
            direction=rules.direction,
            required=tuple(sorted(rules.required)),
        ),
        winner=best[0].run_id if best else None,
        changed_at=changed_at,
        runs=reader.session.value(count, *reader.values),
        eligible=tally.eligible,
        candidates=tuple(_candidates(reader, listed)),
        digest=tally.digest.text(),
    )


def _reason(rules: Rules, scores: Mapping[str, float]) -> Reason:
    if scores and not rules.required <= scores.keys():
        return "lacks a required scorer"
    return "no finite score"


def _not_completed(reader: ScoreReader, limit: int) -> Iterator[_Standing]:
    sql = _NOT_COMPLETED.format(runs=reader.catalog.runs, experiment=reader.experiment)
    for (key,) in reader.session.all(sql, *reader.values, limit):
        run_id = row_id(key, "runs")
        yield _Standing(run_id=run_id, key=key, scores={}, reason="not completed")


def _candidates(
    reader: ScoreReader, listed: Sequence[_Standing]
) -> Iterator[Candidate]:
    details = _details(reader, listed)
    following = (one.score for one in listed[1:])
    for place, (one, after) in enumerate(zip_longest(listed, following), start=1):
        has_next = one.score is not None and after is not None
        yield Candidate(
            run_id=one.run_id,
            config_hash=details[one.key].config_hash,
            created_at=details[one.key].created_at,
            scores=one.scores,
            is_eligible=one.score is not None,
            reason=one.reason,
            place=None if one.score is None else place,
            weighted_score=one.score,
            margin=(one.score or 0.0) - (after or 0.0) if has_next else None,
        )


def _details(
    reader: ScoreReader, listed: Sequence[_Standing]
) -> dict[object, _Details]:
    found: dict[object, _Details] = {}
    for start in range(0, len(listed), _BATCH):
        keys = [one.key for one in listed[start : start + _BATCH]]
        sql = _DETAILS.format(
            runs=reader.catalog.runs, marks=", ".join("?" * len(keys))
        )
        for key, config_hash, created_at in reader.session.all(sql, *keys):
            # The report warns of a value that cannot be read; here it is just absent.
            cells = Cells("run", lambda _: None)
            found[key] = _Details(
                config_hash=cells.required_text("config_hash", config_hash),
                created_at=cells.time("created_at", created_at),
            )
    return found
