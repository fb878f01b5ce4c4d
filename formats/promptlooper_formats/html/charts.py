"""Where the marks of a chart stand, in the units of its view box."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptlooper_export.plugin import Bin, Period

WIDTH = 600
HEIGHT = 160


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of a histogram, from the top left."""

    x: float
    y: float
    width: float
    height: float
    bin: Bin


@dataclass(frozen=True, kw_only=True)
class Course:
    """Scores over time: the mean of each period, and the steps of the best so far."""

    means: tuple[tuple[float, float], ...]
    steps: str
    low: float
    high: float


def histogram(bins: Sequence[Bin]) -> list[Bar]:
    """Return a bar for each bin; one that is not empty can be seen."""
    highest = max((one.count for one in bins), default=0) or 1
    width = 100 / (len(bins) or 1)
    bars = []
    for place, one in enumerate(bins):
        height = max(1, round(30 * one.count / highest, 2)) if one.count else 0
        bars.append(
            Bar(
                x=round(place * width, 2),
                y=30 - height,
                width=round(width * 0.9, 2),
                height=height,
                bin=one,
            )
        )
    return bars


def history(periods: Sequence[Period]) -> Course:
    """Return the course of the scores; equal ones stand half way up."""
    scores = [score for row in periods for score in (row.mean, row.best_so_far)]
    low, high = min(scores), max(scores)
    step = WIDTH / len(periods)

    def y(score: float) -> float:
        share = (score - low) / (high - low) if high > low else 0.5
        return round(HEIGHT * (1 - share), 2)

    steps = [f"M0 {y(periods[0].best_so_far)}"]
    for place, row in enumerate(periods):
        steps.append(f"V{y(row.best_so_far)}H{round((place + 1) * step, 2)}")
    return Course(
        means=tuple(
            (round((place + 0.5) * step, 2), y(row.mean))
            for place, row in enumerate(periods)
        ),
        steps="".join(steps),
        low=low,
        high=high,
    )
