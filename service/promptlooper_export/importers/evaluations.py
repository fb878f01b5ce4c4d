"""What tools that judge a system case by case have in common: judgements and ids."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.importers.interchange import NAMESPACE
from promptlooper_export.importers.values import Config
from promptlooper_export.records import RunRecord

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Judgements:
    """The judgements of one run, as they are read."""

    def __init__(self) -> None:
        """Begin without any."""
        self._scores: defaultdict[str, list[float | None]] = defaultdict(list)
        self._cases: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, scorer: str, case: str | None, score: float | None) -> None:
        """Add what a scorer says of a case, or of all together if there is no case.

        None stands for a case that it does not judge.
        """
        self._scores[scorer].append(score)
        if case is not None:
            self._cases[scorer].append(case)

    def only(self, scorer: str, score: float) -> None:
        """Put a score of all cases together in the place of those of single cases."""
        self._scores[scorer] = [score]
        self._cases.pop(scorer, None)

    @property
    def content(self) -> JSON:
        """Return all of them as JSON, to derive an id from."""
        return [
            {scorer: [*scores] for scorer, scores in self._scores.items()},
            {scorer: [*cases] for scorer, cases in self._cases.items()},
        ]

    @property
    def scores(self) -> Mapping[str, tuple[float | None, ...]]:
        """Return the judgements by scorer."""
        return {scorer: tuple(scores) for scorer, scores in self._scores.items()}

    @property
    def cases(self) -> Mapping[str, tuple[str, ...]]:
        """Return the cases of these judgements by scorer."""
        return {scorer: tuple(cases) for scorer, cases in self._cases.items()}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run besides its judgements."""

    id: UUID
    name: str | None
    config: Config
    status: str = "completed"
    tags: JSON = None
    error: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    duration_ms: int | None = None
    cost_usd: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


def run(judged: Judgements, facts: Facts) -> RunRecord:
    """Return the record of a run that was judged."""
    known = {name: value for name, value in vars(facts).items() if name != "config"}
    return RunRecord(
        **known,
        config=facts.config.text,
        config_hash=facts.config.hash,
        scores=judged.scores,
        cases=judged.cases,
        stage_results=(),
        updated_at=None,
    )


def derived(*identity: JSON) -> UUID:
    """Return the id of what these values tell from everything else."""
    return uuid5(NAMESPACE, _CANONICAL.encode(identity))
