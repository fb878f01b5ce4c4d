"""Student's t and Fisher's F distributions: tail probabilities and quantiles.

The standard library has the normal distribution only. The tests compare with SciPy.
"""

import math
from statistics import NormalDist

_CLOSE = 1e-15
_LARGE = 100.0

_SMALLEST = 1e-300
"""What replaces a zero denominator of the continued fraction."""

_TERMS = 10_000
_PRECISION = 1e-16


def two_sided_p(t: float, degrees: float) -> float:
    """Return the probability of a value at least as far from 0 as `t`.

    There are 1 or more `degrees` of freedom, whole or not. This is the regularized
    incomplete beta function of degrees/2 and 1/2 at degrees / (degrees + t^2), by its
    continued fraction (NIST DLMF 8.17.22).
    """
    ratio = t * t / degrees
    if ratio == 0:
        return 1.0
    if math.isinf(ratio):
        return 0.0
    a, b = degrees / 2, 0.5
    x, y = 1 / (1 + ratio), ratio / (1 + ratio)
    log_x = -math.log1p(ratio)
    front = math.exp(a * log_x + b * (math.log(ratio) + log_x) - _log_beta(a))
    # The fraction converges quickly only below the mean; the rest is its complement.
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _beta_fraction(b, a, y) / b
    return front * _beta_fraction(a, b, x) / a


def f_tail(f: float, between: int, within: int) -> float:
    """Return the probability of a value of at least `f`.

    `between` and `within` are the degrees of freedom of its numerator and denominator.
    This is the regularized incomplete beta function, as for Student's t.
    """
    if f <= 0:
        return 1.0
    a, b = within / 2, between / 2
    x, y = within / (within + between * f), between * f / (within + between * f)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    if not x or not y:
        return float(not y)
    front = math.exp(a * math.log(x) + b * math.log(y) - log_beta)
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _beta_fraction(b, a, y) / b
    return front * _beta_fraction(a, b, x) / a


def critical_value(alpha: float, degrees: float) -> float:
    """Return the t above 0 that is exceeded on either side with probability `alpha`.

    `alpha` is between 0 and 1.
    """
    # The tail is convex and heavier than the normal one, so Newton's method climbs from
    # the normal quantile to the root without passing it.
    t = NormalDist().inv_cdf(1 - alpha / 2)
    while True:
        step = (two_sided_p(t, degrees) - alpha) / (2 * _density(t, degrees))
        if step <= t * _CLOSE:
            return t
        t += step


def _density(t: float, degrees: float) -> float:
    return math.exp(
        -(degrees + 1) / 2 * math.log1p(t * t / degrees) - _log_beta(degrees / 2)
    ) / math.sqrt(degrees)


def _log_beta(a: float) -> float:
    """Return the logarithm of the beta function B(a, 1/2)."""
    if a < _LARGE:
        return math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    # The difference of two large logarithms would lose digits; this is its series
    # (NIST DLMF 5.11.13).
    series = -1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    return math.lgamma(0.5) - math.log(a) / 2 - series


def _beta_fraction(a: float, b: float, x: float) -> float:
    numerator, denominator = 1.0, 1 - (a + b) * x / (a + 1)
    denominator = 1 / (denominator or _SMALLEST)
    value = denominator
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for coefficient in (even, odd):
            denominator = 1 / ((1 + coefficient * denominator) or _SMALLEST)
            numerator = (1 + coefficient / numerator) or _SMALLEST
            change = denominator * numerator
            value *= change
        if abs(change - 1) < _PRECISION:
            break
    return value
