"""The decision record: who stood for election, by which rule, and who won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

Reason = Literal["not completed", "no finite score", "lacks a required scorer"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A run in an election.

    `scores` are its means of finite judgements. `place` and `weighted_score` are None
    if it is not eligible, for the given reason. `margin` is its weighted score less
    that of the next place; None for the last.
    """

    run_id: UUID
    config_hash: str
    created_at: datetime | None
    scores: Mapping[str, float]
    is_eligible: bool
    reason: Reason | None
    place: int | None
    weighted_score: float | None
    margin: float | None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What elects: see scoring_config. `direction` is for scorers not in directions."""

    weights: Mapping[str, float]
    directions: Mapping[str, str]
    direction: str
    required: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How the winner was elected, so that anybody can do it again.

    `changed_at` is when the data say that they changed last. `runs` counts all
    candidates, `eligible` those that can win; `candidates` are the first of them: by
    place, then those that are not eligible, the oldest first. `digest` is a digest
    of all completed runs and their scores: see `Digest`.
    """

    rule: Rule
    winner: UUID | None
    changed_at: datetime | None
    runs: int
    eligible: int
    candidates: tuple[Candidate, ...]
    digest: str


class Digest:
    """A digest of runs and their scores that does not depend on the order of runs.

    The sum of the SHA-256 of each run, modulo 2^256. A run is digested as its id and
    each scorer, sorted, with its mean in the shortest form that is exact.
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, run_id: UUID, scores: Mapping[str, float]) -> None:
        """Add a run."""
        scorers = sorted(scores)
        self.add_alike([str(run_id)], scorers, [[scores[name]] for name in scorers])

    def add_alike(
        self,
        run_ids: Sequence[str],
        scorers: Sequence[str],
        columns: Sequence[Sequence[float]],
    ) -> None:
        """Add runs that have scores by the same scorers, which are sorted."""
        names = (name.replace("%", "%%") for name in scorers)
        cells = (
            f"{len(name)}:{escaped}=%r"
            for name, escaped in zip(scorers, names, strict=True)
        )
        line = f"%s {' '.join(cells)}"
        for row in zip(run_ids, *columns, strict=True):
            text = (line % row).encode("utf-8", "surrogatepass")
            self._sum += int.from_bytes(sha256(text).digest(), "big")

    def text(self) -> str:
        """Return the digest in 64 hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"
