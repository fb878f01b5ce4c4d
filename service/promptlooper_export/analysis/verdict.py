"""The verdict on two configs: is the first better, worse, or as good."""

import math
from dataclasses import dataclass

from promptlooper_export.analysis.contrast import Contrast, paired, welch
from promptlooper_export.analysis.evidence import Sample
from promptlooper_export.verdicts import VerdictWord

LEVEL = 0.05
"""The probability of a wrong `better` or `worse` that is accepted."""

_ERROR_OF_TESTS = 0.005
"""By how much the level of a test that is only approximate may be off."""

MARGIN = 0.01
"""Differences up to this count as none, unless another margin is asked for."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the data say about a first config against a second.

    `needed` is the number of cases, or of runs of each config, that would probably
    settle what is not settled yet, None if it cannot be told. `contrast` is None if
    the data allow no interval.
    """

    word: VerdictWord
    margin: float
    contrast: Contrast | None = None
    needed: int | None = None


def judge_runner_up(
    winner: Sample, other: Sample, *, configs: int, margin: float = MARGIN
) -> Outcome:
    """Compare the winner with the best of the other `configs` - 1 configs.

    A winner needs no correction against its own runner-up, however many configs were
    tried (Hung and Fithian, Rank verification for exponential families, Annals of
    Statistics 47, 2019). If the other is better by its mean, as it may be when a single
    lucky run won, then it was chosen for that from all others, and it does need one.
    """
    is_first = mean_score(winner) >= mean_score(other)
    comparisons = 1 if is_first else configs - 1
    return judge(winner, other, margin=margin, comparisons=comparisons)


def judge(
    first: Sample, second: Sample, *, margin: float = MARGIN, comparisons: int = 1
) -> Outcome:
    """Compare two configs by the cases that both judged, else by their repeated runs.

    `tied` means that the whole interval lies within the margin, and comes before
    `better` and `worse`, which mean that it lies on one side of 0 and that the test
    agrees. If one of the two was chosen as the best of several, and the other was fixed
    beforehand, `comparisons` is how many they were: the level is divided by it
    (Bonferroni; Dunn, Multiple comparisons among means, JASA 56, 1961).
    """
    alpha = LEVEL / max(comparisons, 1)
    contrast = _contrast(first, second, alpha)
    if contrast is None:
        return Outcome(word="not enough data", margin=margin)
    word = _word(contrast, margin)
    return Outcome(
        word=word,
        margin=margin,
        contrast=contrast,
        needed=contrast.needed(margin) if word == "not enough data" else None,
    )


def mean_score(sample: Sample) -> float:
    """Return the mean score of a config's runs, or of its cases without runs."""
    scores = sample.runs or tuple(sample.cases.values())
    return math.fsum(scores) / len(scores) if scores else -math.inf


def _contrast(first: Sample, second: Sample, alpha: float) -> Contrast | None:
    values = (*first.runs, *second.runs, *first.cases.values(), *second.cases.values())
    if len(set(values)) == 1:  # who gives everything the same score tells nothing
        return None
    # A set of keys has no order, and sums may differ by it in the last digit.
    common = sorted(first.cases.keys() & second.cases.keys())
    differences = [first.cases[case] - second.cases[case] for case in common]
    by_case = paired(differences, alpha=alpha)
    return by_case or welch(first.runs, second.runs, alpha=alpha)


def _word(contrast: Contrast, margin: float) -> VerdictWord:
    if -margin <= contrast.low and contrast.high <= margin:
        return "tied"
    is_significant = contrast.p <= contrast.alpha * (1 - _ERROR_OF_TESTS / LEVEL)
    if is_significant and contrast.low > 0:
        return "better"
    if is_significant and contrast.high < 0:
        return "worse"
    return "not enough data"
