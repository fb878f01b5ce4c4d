"""The verdict in simulated experiments; `make trust` runs many more."""

import pytest

from promptlooper_export.analysis.verdict import LEVEL
from trust.simulation import NOISES, Design, false_better, power

ROUNDS = 300
CHANCE = 0.05
"""Four standard errors of a share of 5 % in so many rounds, rounded up."""

SHAPES = {
    "cases": Design(noise="normal", draw=NOISES["normal"], configs=2, cases=30),
    "missing": Design(
        noise="skewed", draw=NOISES["skewed"], configs=10, cases=40, missing=0.3
    ),
    "pass or fail": Design(
        noise="pass/fail", draw=NOISES["pass/fail"], configs=2, cases=100
    ),
    "runs": Design(noise="heavy", draw=NOISES["heavy tails"], configs=2, repeats=5),
    "lucky run": Design(
        noise="five levels", draw=NOISES["five levels"], configs=200, repeats=10
    ),
    "uneven": Design(
        noise="normal", draw=NOISES["normal"], configs=50, repeats=8, uneven=True
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_equally_good_configs_are_hardly_ever_called_better_or_worse(
    shape: str,
) -> None:
    assert max(false_better(SHAPES[shape], ROUNDS)) <= LEVEL + CHANCE


def test_a_better_config_is_found_more_often_with_more_cases() -> None:
    few, many = (
        Design(noise="normal", draw=NOISES["normal"], configs=5, cases=cases)
        for cases in (10, 100)
    )
    assert power(few, ROUNDS, 0.5) < power(many, ROUNDS, 0.5)
    assert power(many, ROUNDS, 1.0) > 0.9
