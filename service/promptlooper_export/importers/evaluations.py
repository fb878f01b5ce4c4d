"""What tools that judge a system case by case have in common: judgements and ids."""

import json
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.importers.interchange import NAMESPACE

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Judgements:
    """The judgements of one run, as they are read, each with its case."""

    def __init__(self) -> None:
        """Begin without any."""
        self._scores: defaultdict[str, list[float | None]] = defaultdict(list)
        self._cases: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, scorer: str, case: str, score: float | None) -> None:
        """Add what a scorer says of a case; None if it does not judge it."""
        self._scores[scorer].append(score)
        self._cases[scorer].append(case)

    @property
    def content(self) -> JSON:
        """Return all of them as JSON, to derive an id from."""
        return {
            scorer: [
                list(pair) for pair in zip(self._cases[scorer], scores, strict=True)
            ]
            for scorer, scores in self._scores.items()
        }

    @property
    def scores(self) -> Mapping[str, tuple[float | None, ...]]:
        """Return the judgements by scorer."""
        return {scorer: tuple(scores) for scorer, scores in self._scores.items()}

    @property
    def cases(self) -> Mapping[str, tuple[str, ...]]:
        """Return the cases of these judgements by scorer."""
        return {scorer: tuple(cases) for scorer, cases in self._cases.items()}


def derived(*identity: JSON) -> UUID:
    """Return the id of what these values tell from everything else."""
    return uuid5(NAMESPACE, _CANONICAL.encode(identity))
