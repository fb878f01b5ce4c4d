"""By how much one config is better than another: a difference and its interval."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Literal

from promptlooper_export.analysis.student import critical_value, two_sided_p

Method = Literal["paired by case", "Welch over runs"]

FEWEST_CASES = 6
"""Fewer pairs cannot be significant at 5 %, however they fall out: 2/2^5 > 0.05."""

_MOST_EXACT = 20
"""Up to so many cases that differ, the permutation test goes through all signs."""

_POWER = 0.8
"""The probability with which the needed number of cases or runs would settle it."""

_MOST_NEEDED = 1e6
"""The square root of the largest number of cases or runs that is worth naming."""

_ROUNDING = 1e-12
"""Sums of the same numbers, added in another order, may differ by this share."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A first config's score minus a second's, and how sure that is.

    `low` and `high` bound the interval, whose confidence is 1 - `alpha`. `p` is the
    two-sided probability of a difference as large if the configs were equally good.
    `counts` is the number of cases, or the number of runs of each config.
    `standard_deviation` is what one more case or run of each would vary by.
    """

    method: Method
    difference: float
    low: float
    high: float
    p: float
    alpha: float
    counts: tuple[int, ...]
    standard_deviation: float

    def needed(self, margin: float) -> int | None:
        """Return how many cases, or runs of each config, would probably settle it.

        A difference as large as this one would be found with a probability of 80 %, or,
        if it is below the margin, be shown to be so. None if it never would: the
        difference is as large as the margin, or nothing varies.
        """
        count = needed(
            self.difference, self.standard_deviation, alpha=self.alpha, margin=margin
        )
        if count is None or self.method != "paired by case":
            return count
        # Below this, not even equal signs of all differences would be significant.
        return max(count, math.ceil(1 - math.log2(self.alpha)))


def needed(
    difference: float, deviation: float, *, alpha: float, margin: float
) -> int | None:
    """Return how many cases or runs would probably settle a difference, 2 or more.

    `deviation` is what one of them varies by. See Contrast.needed.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2)
    size = abs(difference)
    if size > margin:
        reach += normal.inv_cdf(_POWER)
    else:
        size = margin - size
    if not size or not deviation:
        return None
    ratio = reach * deviation / size
    return max(2, math.ceil(ratio**2)) if ratio < _MOST_NEEDED else None


def interval(values: Sequence[float], *, alpha: float) -> tuple[float, float] | None:
    """Return Student's interval for the mean of values, None for fewer than two."""
    count = len(values)
    if count < 2:  # noqa: PLR2004  of one, there is no spread
        return None
    mean = math.fsum(values) / count
    error = _deviation(values, mean) / math.sqrt(count)
    reach = critical_value(alpha, count - 1) * error
    return mean - reach, mean + reach


def paired(differences: Sequence[float], *, alpha: float) -> Contrast | None:
    """Compare two configs by the differences of their scores on the same cases.

    The interval is Student's for the mean difference. `p` is that of the permutation
    test that turns the signs of the differences (Fisher 1935, The Design of
    Experiments, section 21): exact for up to 20 differences that are not 0. Beyond
    that, it is approximated by Student's t test with a correction for continuity.
    None for fewer than FEWEST_CASES.
    """
    count = len(differences)
    if count < FEWEST_CASES:
        return None
    mean = math.fsum(differences) / count
    deviation = _deviation(differences, mean)
    error = deviation / math.sqrt(count)
    reach = critical_value(alpha, count - 1) * error
    return Contrast(
        method="paired by case",
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        p=_sign_flip_p(differences, error),
        alpha=alpha,
        counts=(count,),
        standard_deviation=deviation,
    )


def welch(
    first: Sequence[float], second: Sequence[float], *, alpha: float
) -> Contrast | None:
    """Compare two configs by the scores of their runs, which are repeats.

    By Welch's t test (Biometrika 34, 1947), which allows for different spreads. None if
    one of them has a single run, or if no score varies: then there is no spread to
    judge the difference by.
    """
    if min(len(first), len(second)) < 2:  # noqa: PLR2004  of one, there is no spread
        return None
    means = [math.fsum(runs) / len(runs) for runs in (first, second)]
    deviations = [
        _deviation(runs, mean)
        for runs, mean in zip((first, second), means, strict=True)
    ]
    errors = [
        deviation**2 / len(runs)
        for runs, deviation in zip((first, second), deviations, strict=True)
    ]
    error = math.sqrt(math.fsum(errors))
    difference = means[0] - means[1]
    if not error > _ROUNDING * max(map(abs, means)):
        return None
    degrees = math.fsum(errors) ** 2 / math.fsum(
        one**2 / (len(runs) - 1)
        for runs, one in zip((first, second), errors, strict=True)
    )
    reach = critical_value(alpha, degrees) * error
    return Contrast(
        method="Welch over runs",
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p=two_sided_p(difference / error, degrees),
        alpha=alpha,
        counts=(len(first), len(second)),
        standard_deviation=math.hypot(*deviations),
    )


def _deviation(values: Sequence[float], mean: float) -> float:
    """Return the standard deviation of a sample; 0 for what is only rounding."""
    squares = math.fsum((value - mean) * (value - mean) for value in values)
    deviation = math.sqrt(squares / (len(values) - 1))
    return deviation if deviation > _ROUNDING * abs(mean) else 0.0


def _sign_flip_p(differences: Sequence[float], error: float) -> float:
    sizes = [abs(one) for one in differences if one]
    total = abs(math.fsum(differences))
    if len(sizes) > _MOST_EXACT:
        count = len(differences)
        # Turning the smallest difference changes the total by twice its size: half a
        # step of scores that are whole or pass/fail (Edwards, Psychometrika 13, 1948),
        # and next to nothing for others.
        excess = max(0.0, total - min(sizes)) / count
        return two_sided_p(excess / error, count - 1) if error else 0.0
    slack = _ROUNDING * math.fsum(sizes)
    # Each total of all signs is one of the first half and one of the second, so 2^10
    # searches among 2^10 sums replace 2^20 sums.
    half = len(sizes) // 2
    sums = sorted(_signed_sums(sizes[:half]))
    extreme = 0
    for one in _signed_sums(sizes[half:]):
        extreme += len(sums) - bisect_left(sums, total - one - slack)
        extreme += bisect_right(sums, -total - one + slack)
    return min(1.0, math.ldexp(extreme, -len(sizes)))


def _signed_sums(sizes: Sequence[float]) -> list[float]:
    return [math.fsum(signs) for signs in product(*((-one, one) for one in sizes))]
