"""How values are spread: their quartiles and their histogram."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from promptlooper_export.documents import Bin, Distribution

BINS = 20

QUARTILES = (("q1", 25), ("median", 50), ("q3", 75))


def distribute(values: Sequence[float]) -> Distribution:
    """Return the distribution of one value or more, whose squares are finite."""
    ranked = sorted(values)
    count = len(ranked)
    mean = math.fsum(ranked) / count
    summary: dict[str, float] = {
        "count": count,
        "min": ranked[0],
        "max": ranked[-1],
        "mean": mean,
    }
    if count > 1:
        squares = math.fsum((value - mean) ** 2 for value in ranked)
        summary["standard_deviation"] = math.sqrt(squares / (count - 1))
    for name, percent in QUARTILES:
        summary[name] = quantile(ranked, count, percent)
    edges = bin_edges(ranked[0], ranked[-1])
    # Bars include their lower edge only, but for the last.
    places = [0, *(bisect_left(ranked, edge) for edge in edges[1:-1]), count]
    return Distribution(
        values=summary,
        histogram=histogram(
            edges, {bar: places[bar + 1] - places[bar] for bar in range(len(edges) - 1)}
        ),
    )


def quantile(
    places: Sequence[float] | Mapping[int, float], count: int, percent: int
) -> float:
    """Interpolate linearly between the two nearest of `count` sorted values.

    `places` holds at least these two, by their place from 0.
    """
    # In whole numbers, so that a quantile at a value is that value to the last bit.
    place, hundredths = divmod((count - 1) * percent, 100)
    low = places[place]
    return low if not hundredths else low + (places[place + 1] - low) * hundredths / 100


def bin_edges(low: float, high: float) -> list[float]:
    """Return the edges of a histogram's bars, one more than there are bars."""
    if low == high:
        return [low, high]
    # The upper edge as it is: low + (high - low) may round to something else.
    return [low + (high - low) * place / BINS for place in range(BINS)] + [high]


def histogram(edges: Sequence[float], counts: Mapping[int, int]) -> tuple[Bin, ...]:
    """Return the bars between edges; `counts` may leave out empty ones."""
    return tuple(
        Bin(low=edges[bar], high=edges[bar + 1], count=counts.get(bar, 0))
        for bar in range(len(edges) - 1)
    )
