"""The decision record: who stood for election, by which rule, and who won."""

from collections.abc import Mapping
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
        cells = (
            f"{len(name)}:{name}={value!r}" for name, value in sorted(scores.items())
        )
        line = f"{run_id} {' '.join(cells)}"
        one = sha256(line.encode("utf-8", "surrogatepass")).digest()
        self._sum += int.from_bytes(one, "big")

    def text(self) -> str:
        """Return the digest in 64 hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"
