"""The winner among configs: by the mean of their runs, or the cheapest that is as good.

Pure, over the groups that `groups` reads. Everything is computed from each config's own
runs in the order of their age, so both databases elect the same config.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import nsmallest

from promptlooper_export.documents import Notice
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.groups import ConfigGroup, Member
from promptlooper_export.store.ranking import PLACES, Place, Ranking, age
from promptlooper_export.store.scoring import mean
from promptlooper_export.store.what_if import BY_CONFIG, PREFER, Prefer, WhatIf

_MEASURES: dict[Prefer, tuple[str, str]] = {
    "cheapest-within-1se": ("cost_usd", "cheaper"),
    "fastest-within-1se": ("duration_ms", "faster"),
}
"""What a preference goes by, and the word for less of it."""


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """What a config's runs come to.

    `spread` is the root of the sum of squared differences from the mean, and `measure`
    the mean of what a preference goes by, None if no run has it.
    """

    mean: float
    count: int
    age: tuple[int, str]
    best: Member
    spread: float
    measure: float | None

    def precedence(self) -> tuple[float, int, str]:
        """Sort the better config first, then that whose first run is older."""
        return (-self.mean, *self.age)

    def thrift(self) -> tuple[bool, float, float, int, str]:
        """Sort the config with the lowest measure first, then by precedence."""
        return (self.measure is None, self.measure or 0.0, *self.precedence())


def elect(
    ranking: Ranking, groups: Callable[[], Iterable[ConfigGroup]], what_if: WhatIf
) -> Ranking:
    """Return the ranking with the best run of each of the best configs as its places.

    `groups` is called again for a second pass if there is a preference, so that not
    every config is held. Raises InvalidParameterError if no config has `min_runs`, and
    if there is nothing to go by for `prefer`.
    """
    census = _Census(what_if)
    best = nsmallest(PLACES, census.standings(groups()), key=_Standing.precedence)
    if not best:
        detail = (
            f"No config has {what_if.min_runs} runs that count; the most that one has "
            f"is {census.most}."
        )
        raise InvalidParameterError(
            detail,
            parameter="min_runs",
            allowed={"minimum": 1, "maximum": census.most},
        )
    notice = _mean_notice(best, census)
    if what_if.prefer is not None:
        error = _standard_error(best[0], census)
        near = (
            one
            for one in _Census(what_if).standings(groups())
            if one.mean >= best[0].mean - error
        )
        chosen = min(near, key=_Standing.thrift)
        if chosen.measure is None:
            detail = (
                f"prefer={what_if.prefer} needs {_MEASURES[what_if.prefer][0]}, which "
                "no run of the best configs has."
            )
            raise InvalidParameterError(detail, parameter="prefer")
        notice = _preference_notice(what_if.prefer, chosen, best[0], error)
        best = [chosen, *(one for one in best if one != chosen)][:PLACES]
    places = tuple(
        Place(
            run_id=one.best.run_id,
            key=one.best.key,
            weighted_score=one.best.weighted_score,
        )
        for one in best
    )
    return replace(ranking, places=places, election=notice)


class _Census:
    """Counts the configs that stand, and adds up how much repeats differ."""

    def __init__(self, what_if: WhatIf) -> None:
        self.min_runs = what_if.min_runs
        self.count = self.most = self.repeats = 0
        self.spreads: list[float] = []
        self._measure = what_if.prefer and _MEASURES[what_if.prefer][0]

    def standings(self, groups: Iterable[ConfigGroup]) -> Iterator[_Standing]:
        """Yield the standing of each config that has enough runs."""
        for group in groups:
            count = len(group.runs)
            self.most = max(self.most, count)
            if count < self.min_runs:
                continue
            standing = _standing(group, self._measure)
            self.count += 1
            if count > 1:
                self.repeats += count - 1
                self.spreads.append(standing.spread)
            yield standing


def _standing(group: ConfigGroup, measure: str | None) -> _Standing:
    runs = group.runs
    scores = [one.weighted_score for one in runs]
    centre = mean(scores)
    measured = [getattr(one, measure) for one in runs] if measure else []
    known = [value for value in measured if value is not None]
    return _Standing(
        mean=centre,
        count=len(runs),
        age=age(runs[0].moment, runs[0].run_id),
        # max() keeps the first of a tie, which is the older run.
        best=max(runs, key=lambda one: one.weighted_score),
        # hypot() squares without leaving the range of a double.
        spread=math.hypot(*(score - centre for score in scores)),
        measure=mean(known) if known else None,
    )


def _standard_error(winner: _Standing, census: _Census) -> float:
    """Return one standard error of the winner's mean.

    By its own runs; a single run says nothing of its spread, so that of all configs
    with repeats stands in, pooled. Raises InvalidParameterError if there is none.
    """
    if winner.count > 1:
        error = winner.spread / math.sqrt(winner.count - 1) / math.sqrt(winner.count)
    elif census.repeats:
        # Sorted, since the order of configs is the database's to choose.
        error = math.hypot(*sorted(census.spreads)) / math.sqrt(census.repeats)
    else:
        detail = (
            "No config has two runs that count, so there is no spread to tell one "
            "standard error by: leave out prefer, or name what repeats differ in with "
            "repeat_over."
        )
        raise InvalidParameterError(detail, parameter="prefer")
    if not math.isfinite(error):
        detail = "The scores of repeats differ by more than a double holds."
        raise InvalidParameterError(detail, parameter="prefer")
    return error


def _mean_notice(best: list[_Standing], census: _Census) -> Notice:
    winner = best[0]
    enough = f" with at least {census.min_runs} runs" if census.min_runs > 1 else ""
    message = (
        f"The config is the one with the highest mean weighted score, {_mean(winner)}, "
        f"of {census.count} config{_s(census.count)}{enough}; the run is its best."
    )
    if len(best) > 1 and best[1].mean == winner.mean:
        message += " Another config has the same mean; the older first run decides."
    return Notice(code=BY_CONFIG, message=message)


def _preference_notice(
    prefer: Prefer, chosen: _Standing, winner: _Standing, error: float
) -> Notice:
    measure, word = _MEASURES[prefer]
    within = f"within one standard error ({error:.6g})"
    if chosen == winner:
        message = (
            f"{prefer}: the config with the highest mean weighted score, "
            f"{_mean(winner)}, has the lowest mean {measure} {within} as well: "
            f"{chosen.measure:.6g}."
        )
        return Notice(code=PREFER, message=message)
    message = (
        f"{prefer}: the config has a mean weighted score of {_mean(chosen)} and the "
        f"lowest mean {measure}, {chosen.measure:.6g}, {within} of the highest mean: "
        f"{_mean(winner)}, by the config of run {winner.best.run_id}, "
    )
    if winner.measure is None:
        message += f"whose {measure} is unknown."
    else:
        message += f"with {winner.measure:.6g}{_saving(chosen, winner, word)}."
    return Notice(code=PREFER, message=message)


def _saving(chosen: _Standing, winner: _Standing, word: str) -> str:
    """Say by how much the chosen config is below the winner; nothing if it is not."""
    if not chosen.measure or not winner.measure or winner.measure <= 0:
        return ""
    return f" ({1 - chosen.measure / winner.measure:.0%} {word})"


def _mean(one: _Standing) -> str:
    return f"{one.mean:.6g} over {one.count} run{_s(one.count)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
