"""How often the verdict is wrong where nothing is better, and how often it is right.

Simulates experiments whose configs are all equally good, elects a winner as the service
does, and counts the verdicts `better` against the runner-up and against a baseline that
was fixed beforehand. Then the same with one config that is better by a known amount.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from promptlooper_export.analysis.evidence import Sample
from promptlooper_export.analysis.verdict import judge, judge_runner_up

Draw = Callable[[Generator, tuple[int, int]], NDArray[np.float64]]

_SEED = 20261128
_RUN = UUID(int=0)


def _normal(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.normal(0, 1, shape)


def _binary(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Draw passes, 70 % of them, and failures, with a standard deviation of 1."""
    passed = random.binomial(1, 0.7, shape).astype(np.float64)
    passed /= (0.7 * 0.3) ** 0.5
    return passed


def _levels(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.normal(0, 1, shape).round().clip(-2, 2)


def _skewed(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.exponential(1, shape)


def _heavy(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.standard_t(3, shape) / 3**0.5


@dataclass(frozen=True, kw_only=True)
class Design:
    """An experiment: `configs` with `cases` each, or with `repeats` without cases.

    `missing` is the share of cases that a config did not judge; `uneven` configs have
    between 1 and `repeats` runs.
    """

    noise: str
    draw: Draw
    configs: int
    cases: int = 0
    repeats: int = 0
    missing: float = 0.0
    uneven: bool = False

    def title(self) -> str:
        """Describe the data of a config."""
        if self.cases:
            text = f"{self.cases} cases"
            return f"{text}, {self.missing:.0%} missing" if self.missing else text
        return f"1 to {self.repeats} runs" if self.uneven else f"{self.repeats} runs"

    def samples(self, random: Generator, effect: float) -> tuple[Sample, Sample, bool]:
        """Draw an experiment; return winner and runner-up, and whether 0 won.

        Config 0 is better than the others by `effect` standard deviations.
        """
        scores = self._scores(random, effect)
        return self._elect(scores)

    def against_baseline(self, random: Generator) -> tuple[Sample, Sample]:
        """Draw an experiment; return the best of the others, and config 0."""
        scores = self._scores(random, 0.0)
        winner = int(np.nanargmax(self._standing(scores)[1:])) + 1
        return self._sample(scores, winner), self._sample(scores, 0)

    def _scores(self, random: Generator, effect: float) -> NDArray[np.float64]:
        width = self.cases or self.repeats
        scores = self.draw(random, (self.configs, width))
        scores[0] += effect
        if self.cases:
            scores += random.normal(0, 1, width)  # some cases are harder for everybody
        if self.missing:
            scores[random.random(scores.shape) < self.missing] = np.nan
        if self.uneven:
            counts = random.integers(1, self.repeats + 1, self.configs)
            scores[np.arange(width) >= counts[:, None]] = np.nan
        return scores

    def _standing(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what elects: the mean over cases, or the best single run."""
        kept = np.isfinite(scores)
        if self.cases:
            means: NDArray[np.float64] = np.nanmean(scores, axis=1)
            return means
        best: NDArray[np.float64] = np.where(kept, scores, -np.inf).max(axis=1)
        return best

    def _elect(self, scores: NDArray[np.float64]) -> tuple[Sample, Sample, bool]:
        winner = int(np.argmax(self._standing(scores)))
        kept = np.isfinite(scores)
        sums = np.where(kept, scores, 0).sum(axis=1)
        means = sums / np.maximum(kept.sum(axis=1), 1)
        means[winner] = -np.inf
        second = int(np.argmax(means))
        return self._sample(scores, winner), self._sample(scores, second), winner == 0

    def _sample(self, scores: NDArray[np.float64], config: int) -> Sample:
        row = scores[config]
        found = {str(i): float(row[i]) for i in np.flatnonzero(np.isfinite(row))}
        runs = () if self.cases else tuple(found.values())
        cases = found if self.cases else {}
        key = str(config)
        return Sample(key=key, config_hash=key, run_id=_RUN, runs=runs, cases=cases)


NOISES: dict[str, Draw] = {
    "normal": _normal,
    "pass/fail": _binary,
    "five levels": _levels,
    "skewed": _skewed,
    "heavy tails": _heavy,
}


_MOST_DRAWN = 20_000
"""Scores of one simulated experiment; more would take hours."""

EFFECTS = 0.2, 0.5, 1.0
"""True differences, in standard deviations of a case's or a run's score."""


def designs() -> Iterator[list[Design]]:
    """Yield the designs of the table, each with every kind of noise."""
    for configs in (2, 10, 100, 1000):
        for shape in (
            {"cases": 6},
            {"cases": 20},
            {"cases": 100},
            {"cases": 40, "missing": 0.3},
            {"repeats": 2},
            {"repeats": 3},
            {"repeats": 10},
            {"repeats": 8, "uneven": True},
        ):
            if configs * shape.get("cases", 0) > _MOST_DRAWN:
                continue
            yield [
                Design(noise=noise, draw=draw, configs=configs, **shape)
                for noise, draw in NOISES.items()
            ]


def false_better(design: Design, rounds: int) -> tuple[float, float, float]:
    """Return the shares of wrong verdicts where all configs are equally good.

    `better` and `worse` against the runner-up, and `better` against a baseline.
    """
    random = np.random.default_rng(_SEED)
    better = worse = base = 0
    for _ in range(rounds):
        first, second, _ = design.samples(random, 0.0)
        word = judge_runner_up(first, second, configs=design.configs, margin=0).word
        better += word == "better"
        worse += word == "worse"
        first, second = design.against_baseline(random)
        comparisons = design.configs - 1
        base += judge(first, second, margin=0, comparisons=comparisons).word == "better"
    return better / rounds, worse / rounds, base / rounds


def power(design: Design, rounds: int, effect: float) -> float:
    """Return how often the config that is better wins with the verdict `better`."""
    random = np.random.default_rng(_SEED)
    found = 0
    for _ in range(rounds):
        first, second, is_right = design.samples(random, effect)
        found += (
            is_right
            and judge_runner_up(first, second, configs=design.configs, margin=0).word
            == "better"
        )
    return found / rounds
