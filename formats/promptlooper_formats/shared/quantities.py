"""Numbers, times and durations as people read them."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

DIGITS = 4
"""How many significant digits a number is shown with, where it has them."""

_MOST_DECIMALS = 8

_FULL = range(-3, 9)
"""The powers of ten of numbers that are written out in full."""


def number(value: float | None) -> str:
    """Write a number with separators and four significant digits; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    power = _power(value)
    if power not in _FULL:
        return f"{value:.{DIGITS}g}"
    return f"{value:,.{max(0, DIGITS - 1 - max(power, -1))}f}"


def column(values: Sequence[float | None]) -> list[str]:
    """Write numbers that stand below one another: with the same decimals.

    As many as the largest one needs for four significant digits, and more as long as
    numbers that differ would look the same.
    """
    given = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in given):
        return [number(value) for value in values]
    powers = [_power(value) for value in given if value]
    if any(power not in _FULL for power in powers):
        return [number(value) for value in values]
    distinct = len(set(given))
    decimals = max(0, DIGITS - 1 - max([-1, *powers]))
    while decimals < _MOST_DECIMALS:
        if len({f"{value:.{decimals}f}" for value in given}) == distinct:
            break
        decimals += 1
    return ["" if value is None else f"{value:,.{decimals}f}" for value in values]


def _power(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def signed(value: float) -> str:
    """Write a number with its sign; the minus is the one that print uses."""
    sign = "+" if value > 0 else "\u2212" if value else ""
    return f"{sign}{number(abs(value))}"


def probability(value: float) -> str:
    """Write a p-value; which one below a thousandth it is says nothing."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004


def percent(share: float) -> str:
    """Write a share of 1 as a percentage; what is not nothing is not 0 %."""
    if 0 < share < 0.001:  # noqa: PLR2004  would round to 0.0 %
        return "< 0.1 %"
    return f"{share:.1%}".replace("%", " %").replace(".0 %", " %")


def weight(value: float | None) -> str:
    """Write a number that a person chose, with the digits that they gave."""
    return "" if value is None else f"{value:g}"


def duration(milliseconds: float | None) -> str:
    """Write a duration in the unit that suits its length."""
    if milliseconds is None:
        return ""
    # Rounded first: 999.9 ms must not become 1000 ms.
    if round(milliseconds) < 1000:  # noqa: PLR2004
        return f"{milliseconds:.0f} ms"
    if round(milliseconds, -1) < 60_000:  # noqa: PLR2004
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"


def moment(value: datetime) -> str:
    """Write a time to the minute, in UTC."""
    found = value.astimezone(UTC)
    return f"{date(found)}, {found:%H:%M} UTC"


def date(value: datetime) -> str:
    """Write a day; %Y would leave out the zeros of the first thousand years."""
    return f"{value.day} {value:%b} {value.year}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write how many there are of something."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def listed(names: Iterable[str], *, most: int = 6) -> str:
    """Write names in a row; of more than `most`, say how many others there are."""
    found = list(names)
    if len(found) > most:
        found = [*found[: most - 1], f"{len(found) - most + 1:,} more"]
    if len(found) < 2:  # noqa: PLR2004
        return "".join(found)
    return f"{', '.join(found[:-1])} and {found[-1]}"
