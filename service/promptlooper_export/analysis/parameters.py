"""Which parameters of the configs go with high scores."""

import json
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from operator import itemgetter

from promptlooper_export.analysis.contrast import interval
from promptlooper_export.analysis.student import f_tail
from promptlooper_export.analysis.verdict import LEVEL
from promptlooper_export.configs import JSON, leaves
from promptlooper_export.findings import (
    LeftOut,
    LeftOutReason,
    Parameter,
    Parameters,
    ParameterValue,
)

METHOD = (
    "one-way analysis of variance (Fisher 1925): eta squared, corrected as omega "
    "squared (Hays 1963), and the F test"
)

FEWEST_RUNS = 3
"""Values that fewer runs have are left out: they have hardly a spread."""

BINS = 8
"""Into how many groups numbers are put if there are more different ones."""

_MOST_PARAMETERS = 20
_MOST_VALUES = 12
_MOST_LEFT_OUT = 50

_MOST_LEAVES = 300_000
"""How many values of configs are kept in memory at a time."""

_MOST_PATHS = 1_000
"""How many parameters are looked at, in the order in which they are met."""

_LONGEST = 4_000
"""The longest value, in characters of JSON, that is shown as it is."""

_SHORT = _LONGEST // 6 - 1
"""JSON has up to six characters for one of a text, and two quotes."""

_LARGEST = 1 << 63
"""Whole numbers from here on may have more digits than are shown."""


_Key = float | str | tuple[str]
"""What is the same for equal values: the value itself, or its JSON text in a tuple."""


@dataclass(kw_only=True)
class _Column:
    """The values of one parameter, by the number of the run that has them.

    Each different value is kept once, under its key, and called by its `codes`.
    """

    codes: dict[_Key, int] = field(default_factory=dict)
    runs: "array[int]" = field(default_factory=lambda: array("i"))
    values: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, run: int, value: JSON) -> None:
        self.runs.append(run)
        self.values.append(self.codes.setdefault(_key(value), len(self.codes)))

    def different(self) -> list[JSON]:
        """Return the different values, in the order of their codes."""
        return [
            json.loads(key[0]) if isinstance(key, tuple) else key for key in self.codes
        ]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The runs that share a value, or whose numbers are in one range."""

    scores: Sequence[float]
    value: JSON = None
    is_set: bool = True
    least: float | None = None
    most: float | None = None


def explain(
    sample: Iterable[tuple[Mapping[str, JSON], float]], *, runs: int
) -> Parameters:
    """Find out which parameters explain the weighted scores of a sample of `runs`.

    The sample gives configs and their scores, which may be at most 1e150 in size. It
    is read until memory for its values is used up, so each part of it should be even.
    """
    scores = array("d")
    columns: dict[str, _Column] = {}
    found = 0
    for config, score in sample:
        for path, value in leaves(config):
            if path not in columns:
                if len(columns) == _MOST_PATHS:
                    continue
                columns[path] = _Column()
            columns[path].add(len(scores), value)
            found += 1
        scores.append(score)
        if found >= _MOST_LEAVES:
            break
    parameters: list[Parameter] = []
    left_out: list[LeftOut] = []
    for path, column in sorted(columns.items()):
        if reason := _reason(column, len(scores)):
            left_out.append(LeftOut(path=path, reason=reason))
        elif parameter := _parameter(path, column, scores):
            parameters.append(parameter)
        else:
            left_out.append(LeftOut(path=path, reason="not enough data"))
    parameters.sort(key=lambda one: (-one.corrected, -one.share, one.path))
    return Parameters(
        method=METHOD,
        runs=runs,
        used=len(scores),
        parameters=tuple(parameters[:_MOST_PARAMETERS]),
        further=max(0, len(parameters) - _MOST_PARAMETERS),
        left_out=tuple(left_out[:_MOST_LEFT_OUT]),
        further_left_out=max(0, len(left_out) - _MOST_LEFT_OUT),
    )


def _key(value: JSON) -> _Key:
    """Return what is the same for equal values; most are their own key."""
    if isinstance(value, float):
        if not value.is_integer():
            return value
        value = int(value)  # 1.0 is 1
    if isinstance(value, str) and len(value) <= _SHORT:
        return value
    # To Python, true and false are 1 and 0.
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -_LARGEST < value < _LARGEST
    ):
        return value
    return (_text(value),)


def _text(value: JSON) -> str:
    """Return what is the same for equal values; long ones are named by a digest."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 is 1
    text = json.dumps(value, sort_keys=True)
    if len(text) <= _LONGEST:
        return text
    # Not its beginning: half a secret may not be recognised as one.
    digest = sha256(text.encode()).hexdigest()[:16]
    return json.dumps(f"(a value of {len(text):,} characters, SHA-256 {digest}…)")


def _reason(column: _Column, runs: int) -> LeftOutReason | None:
    different = len(column.codes)
    if different == 1 and len(column.runs) == runs:
        return "constant"
    # Numbers with a fraction may well differ in each run: they go into bins.
    if different == len(column.runs) >= FEWEST_RUNS and not any(
        isinstance(value, float) for value in column.different()
    ):
        return "unique"
    return None


def _parameter(path: str, column: _Column, scores: Sequence[float]) -> Parameter | None:
    values = column.different()
    numbers = _numbers(values)
    groups = (
        _by_value(column, scores, values)
        if numbers is None
        else _by_number(column, scores, numbers)
    )
    if len(column.runs) < len(scores):
        having = set(column.runs)
        without = [one for run, one in enumerate(scores) if run not in having]
        groups.append(_Group(scores=without, is_set=False))
    compared = [one for one in groups if len(one.scores) >= FEWEST_RUNS]
    shares = _shares([one.scores for one in compared])
    if shares is None:
        return None
    shown = [_value(one) for one in compared]
    if numbers is None:
        shown.sort(key=lambda one: (-one.mean, _text(one.value)))
    return Parameter(
        path=path,
        kind="categorical" if numbers is None else "numeric",
        runs=sum(one.runs for one in shown),
        share=shares.eta,
        corrected=shares.omega,
        p=shares.p,
        values=tuple(shown[:_MOST_VALUES]),
        further=len(groups) - len(shown[:_MOST_VALUES]),
    )


def _numbers(values: Sequence[JSON]) -> list[float] | None:
    """Return the values as numbers, None unless each is one."""
    numbers = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            numbers.append(float(value))
        except OverflowError:  # JSON's whole numbers have no limit
            return None
    return numbers


def _by_value(
    column: _Column, scores: Sequence[float], values: Sequence[JSON]
) -> list[_Group]:
    groups: dict[int, list[float]] = defaultdict(list)
    for run, code in zip(column.runs, column.values, strict=True):
        groups[code].append(scores[run])
    return [
        _Group(value=values[code], scores=members) for code, members in groups.items()
    ]


def _by_number(
    column: _Column, scores: Sequence[float], numbers: Sequence[float]
) -> list[_Group]:
    """Group by number, or by range if there are more numbers than BINS.

    Ranges hold about as many runs each; runs with the same number stay together.
    """
    pairs = sorted(
        (numbers[code], scores[run])
        for run, code in zip(column.runs, column.values, strict=True)
    )
    is_few = len({number for number, _ in pairs}) <= BINS
    groups: dict[int, list[tuple[float, float]]] = defaultdict(list)
    smaller = 0
    for _, same in groupby(pairs, key=itemgetter(0)):
        found = list(same)
        groups[smaller if is_few else BINS * smaller // len(pairs)] += found
        smaller += len(found)
    return [
        _Group(
            least=members[0][0],
            most=members[-1][0],
            scores=[score for _, score in members],
        )
        for members in groups.values()
    ]


@dataclass(frozen=True, kw_only=True)
class _Shares:
    eta: float
    omega: float
    p: float


def _shares(groups: Sequence[Sequence[float]]) -> _Shares | None:
    """Analyse the variance of the groups, None if nothing varies or is compared."""
    everything = [score for group in groups for score in group]
    if len(groups) < 2:  # noqa: PLR2004  one group has nothing to be compared with
        return None
    mean = math.fsum(everything) / len(everything)
    total = math.fsum((score - mean) ** 2 for score in everything)
    if len(set(everything)) == 1 or not total:
        return None
    within = math.fsum(
        (score - of_group) ** 2
        for group in groups
        for of_group in (math.fsum(group) / len(group),)
        for score in group
    )
    between = max(0.0, total - within)
    of_groups, of_runs = len(groups) - 1, len(everything) - len(groups)
    error = within / of_runs
    f = between / of_groups / error if error else math.inf
    return _Shares(
        eta=between / total,
        omega=max(0.0, (between - of_groups * error) / (total + error)),
        p=f_tail(f, of_groups, of_runs),
    )


def _value(group: _Group) -> ParameterValue:
    bounds = interval(group.scores, alpha=LEVEL)
    mean = math.fsum(group.scores) / len(group.scores)
    low, high = bounds or (mean, mean)  # there are bounds from two runs on
    return ParameterValue(
        value=group.value,
        is_set=group.is_set,
        least=group.least,
        most=group.most,
        runs=len(group.scores),
        mean=mean,
        low=low,
        high=high,
    )
