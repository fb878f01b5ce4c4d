"""How values are spread: their quartiles and their histogram."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate

from promptlooper_export.documents import Bin, Distribution

BINS = 20

_QUARTILES = (("q1", 25), ("median", 50), ("q3", 75))


def distribute(values: Sequence[float]) -> Distribution:
    """Return the distribution of one value or more, whose squares are finite.

    Sums are exact before they are rounded. Only those bars of the histogram are sorted
    in which a quartile is: the values may be an array much smaller than a list of them.
    """
    count = len(values)
    low, high = min(values), max(values)
    mean = math.fsum(values) / count
    summary: dict[str, float] = {"count": count, "min": low, "max": high, "mean": mean}
    if count > 1:
        squares = math.fsum((value - mean) * (value - mean) for value in values)
        summary["standard_deviation"] = math.sqrt(squares / (count - 1))
    # The upper edge as it is: low + (high - low) may round to something else.
    edges = [low + (high - low) * bar / BINS for bar in range(BINS)] + [high]
    if low == high:
        edges = [low, high]
    # Bars include their lower edge only, but for the last.
    bar_of = partial(bisect_right, edges[1:-1])
    counts = Counter(map(bar_of, values))
    bars = [counts[bar] for bar in range(len(edges) - 1)]
    places = _places(values, bars, bar_of)
    for name, percent in _QUARTILES:
        summary[name] = quantile(places, count, percent)
    return Distribution(
        values=summary,
        histogram=tuple(
            Bin(low=edges[bar], high=edges[bar + 1], count=number)
            for bar, number in enumerate(bars)
        ),
    )


def quantile(places: Mapping[int, float], count: int, percent: int) -> float:
    """Interpolate linearly between the two nearest of `count` sorted values.

    `places` holds at least these two, by their place from 0.
    """
    # In whole numbers, so that a quantile at a value is that value to the last bit.
    place, hundredths = divmod((count - 1) * percent, 100)
    low = places[place]
    return low if not hundredths else low + (places[place + 1] - low) * hundredths / 100


def _places(
    values: Sequence[float], bars: Sequence[int], bar_of: "partial[int]"
) -> dict[int, float]:
    """Return the sorted values at the places of the quartiles, and after these."""
    count = len(values)
    wanted = {
        min((count - 1) * percent // 100 + step, count - 1)
        for _, percent in _QUARTILES
        for step in (0, 1)
    }
    ends = list(accumulate(bars))
    bar_at = {place: bisect_right(ends, place) for place in wanted}
    inside: dict[int, list[float]] = {bar: [] for bar in bar_at.values()}
    for value in values:
        if (bar := bar_of(value)) in inside:
            inside[bar].append(value)
    ranked = {bar: sorted(found) for bar, found in inside.items()}
    return {
        place: ranked[bar][place - ends[bar] + bars[bar]]
        for place, bar in bar_at.items()
    }
