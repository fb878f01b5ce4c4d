"""Where a value is drawn on an axis, and which values the axis names."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from promptlooper_formats.shared.quantities import date, duration, number

_ROOM = 0.04
"""The share of an axis that is left free at each end."""

_STEPS = (1, 2, 5, 10)

_MOST_TICKS = 5
"""More would not have room side by side on a phone."""

_DECADES = 50
"""From this ratio of the highest to the lowest value on, equal ratios are equally far.

On a linear axis, half of the values would share its first fiftieth.
"""

_TIME_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(1, 5, 15, 30),
        *(60 * minutes for minutes in (1, 5, 15, 30)),
        *(3_600 * hours for hours in (1, 3, 6, 12)),
        *(86_400 * days for days in (1, 2, 7, 14, 30, 90, 180, 365)),
    )
)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A value that an axis names, at `place` percent of its length."""

    place: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis from `low` to `high`, which are numbers, or seconds since 1970."""

    title: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value is, in percent of the axis from its low end."""
        return _place(value, self.low, self.high, is_logarithmic=self.is_logarithmic)


def linear(title: str, values: Sequence[float]) -> Axis:
    """Return an axis of numbers on which all values have room."""
    return _spaced(title, min(values), max(values), label=_decimal)


def costs(title: str, values: Sequence[float], *, is_duration: bool) -> Axis:
    """Return an axis of costs in USD, or of durations in milliseconds."""
    low, high = min(values), max(values)
    write = _duration if is_duration else number
    if low > 0 and high / low > _DECADES:
        start, end = (math.log10(value) for value in (low, high))
        room = (end - start) * _ROOM
        low, high = 10 ** (start - room), 10 ** (end + room)
        powers = range(math.ceil(start - room), math.floor(end + room) + 1)
        nth = math.ceil(len(powers) / 5)
        return Axis(
            title=f"{title}, each step tenfold",
            low=low,
            high=high,
            ticks=tuple(
                Tick(
                    place=_place(10.0**power, low, high, is_logarithmic=True),
                    label=write(10.0**power),
                )
                for power in powers[::nth]
            ),
            is_logarithmic=True,
        )
    label = (lambda value, _: _duration(value)) if is_duration else _decimal
    return _spaced(title, low, high, label=label, least=0.0)


def _spaced(
    title: str,
    low: float,
    high: float,
    *,
    label: Callable[[float, float], str],
    least: float = -math.inf,
) -> Axis:
    """Return an axis that names round values from `least` on.

    `label` writes a value, given the step from one to the next.
    """
    low, high = _with_room(low, high)
    step = _step(low, high)
    return Axis(
        title=title,
        low=low,
        high=high,
        ticks=tuple(
            Tick(place=_place(value, low, high), label=label(value, step))
            for value in _round_values(low, high, step)
            if value >= least
        ),
    )


def times(start: datetime, end: datetime) -> Axis:
    """Return an axis of time that names at most five moments."""
    low, high = start.timestamp(), end.timestamp()
    span = timedelta(seconds=high - low)
    step = next((one for one in _TIME_STEPS if span / one <= 4), None)  # noqa: PLR2004
    if step is None:
        step = timedelta(days=365 * math.ceil(span.days / 365 / 4))
    seconds = step.total_seconds()
    first = math.ceil(low / seconds)
    places = [seconds * (first + number) for number in range(6)]
    return Axis(
        title="time of creation, UTC",
        low=low,
        high=high,
        ticks=tuple(
            Tick(place=_place(second, low, high), label=_time(second, step))
            for second in places
            if second <= high
        ),
    )


def _duration(milliseconds: float) -> str:
    """Write a round duration without zeros behind the point."""
    seconds = milliseconds / 1000
    if 1 <= seconds < 60:  # noqa: PLR2004
        return f"{seconds:g} s"
    return f"{milliseconds:g} ms" if seconds < 1 else duration(milliseconds)


def _time(second: float, step: timedelta) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    if step >= timedelta(days=1):
        return date(moment)
    return f"{moment:%H:%M:%S}" if step < timedelta(minutes=1) else f"{moment:%H:%M}"


def _with_room(low: float, high: float) -> tuple[float, float]:
    reach = high / 2 - low / 2  # the difference may be beyond the largest double
    room = 2 * reach * _ROOM or abs(low) * _ROOM or 1.0
    return max(low - room, -1e308), min(high + room, 1e308)


def _place(
    value: float, low: float, high: float, *, is_logarithmic: bool = False
) -> float:
    if is_logarithmic:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    if not high > low:
        return 50.0
    return round(100 * ((value / 2 - low / 2) / (high / 2 - low / 2)), 2)


def _step(low: float, high: float) -> float:
    """Return the smallest of 1, 2, 5, 10 ... with at most _MOST_TICKS steps."""
    rough = (high / _MOST_TICKS - low / _MOST_TICKS) or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * 0.999)


def _round_values(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [place * step for place in range(first, last + 1)]


def _decimal(value: float, step: float) -> str:
    """Write a value with the decimals that its step has."""
    power = math.floor(math.log10(step))
    if power not in range(-5, 7):
        return f"{value:.3g}" if value else "0"
    return f"{value:,.{max(0, -power)}f}".replace("-", "\u2212")
