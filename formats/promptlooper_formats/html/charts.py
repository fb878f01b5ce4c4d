"""What the charts of a report draw, in percent of the plot from its top left.

Positions are relative and text is not, so one drawing fits a phone, a screen and paper:
the plot becomes narrower, and the letters stay as they are.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from promptlooper_export.plugin import (
    JSON,
    Bin,
    ByCase,
    Measure,
    Parameter,
    ParameterValue,
    Period,
    Report,
    TopParameter,
    TradeOff,
    TradeOffPoint,
)
from promptlooper_formats.html.scales import Axis, costs, linear, times
from promptlooper_formats.shared.sentences import runner_up

FEWEST_SCORES = 8
"""Of fewer scores, a histogram would show nothing that the table does not."""

Mark = Literal["winner", "runner-up", "front", "run", "mean", "failed"]
"""What a dot stands for; each has its own shape."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A point of a chart."""

    x: float
    y: float
    mark: Mark


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    bin: Bin


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A plot with two axes; `steps` is the path of a line in a square of 1,000."""

    x: Axis
    y: Axis
    bars: tuple[Bar, ...] = ()
    dots: tuple[Dot, ...] = ()
    steps: str | None = None
    winner: float | None = None


_FLOOR = 97.0
"""Where crosses stand for runs without a score, just above the axis."""

_ROOM = 0.1
"""The part of the scores' range that is left free for them below the lowest one."""


def history(periods: Sequence[Period]) -> Chart | None:
    """Return the best score so far, each period's mean, and where runs failed.

    None for fewer than 3 periods.
    """
    if len(periods) < 3:  # noqa: PLR2004  two points have no course
        return None
    x = times(periods[0].start, periods[-1].end)
    scores = [score for one in periods for score in (one.mean, one.best_so_far)]
    if any(one.failed for one in periods):
        scores.append(min(scores) - _ROOM * (max(scores) - min(scores)))
    y = linear("weighted score", scores)
    ends = [x.place(one.end.timestamp()) for one in periods]
    starts = [x.place(one.start.timestamp()) for one in periods]
    path = [f"M{10 * starts[0]:g} {_down(y, periods[0].best_so_far)}"]
    for one, end in zip(periods, ends, strict=True):
        path.append(f"V{_down(y, one.best_so_far)}H{10 * end:g}")
    middles = [
        round((start + end) / 2, 2) for start, end in zip(starts, ends, strict=True)
    ]
    means = [
        Dot(x=middle, y=_up(y, one.mean), mark="mean")
        for one, middle in zip(periods, middles, strict=True)
    ]
    failed = [
        Dot(x=middle, y=_FLOOR, mark="failed")
        for one, middle in zip(periods, middles, strict=True)
        if one.failed
    ]
    return Chart(x=x, y=y, steps="".join(path), dots=(*means, *failed))


def distribution(report: Report) -> Chart | None:
    """Return the histogram of the weighted scores, with the winner marked."""
    found = report.distribution
    if found is None or found.values["count"] < FEWEST_SCORES:
        return None
    if len(found.histogram) < 2:  # noqa: PLR2004  all scores are the same
        return None
    edges = [found.histogram[0].low, found.histogram[-1].high]
    x = linear("weighted score", edges)
    highest = max(one.count for one in found.histogram)
    y = linear("runs", [0.0, float(highest)])
    floor = y.place(0.0)
    bars = tuple(_bars(found.histogram, x=x, y=y, floor=floor))
    winner = report.winner.run.weighted_score if report.winner else None
    return Chart(
        x=x, y=y, bars=bars, winner=None if winner is None else x.place(winner)
    )


def _bars(bins: Sequence[Bin], *, x: Axis, y: Axis, floor: float) -> Iterator[Bar]:
    for one in bins:
        left, right = x.place(one.low), x.place(one.high)
        # A single run must be visible beside a thousand.
        height = max(1, y.place(one.count) - floor) if one.count else 0
        yield Bar(
            x=left,
            y=round(100 - floor - height, 2),
            width=round(right - left, 2),
            height=round(height, 2),
            bin=one,
        )


def small_bars(bins: Sequence[Bin]) -> list[Bar]:
    """Return a histogram without axes, for a cell of a table."""
    highest = max((one.count for one in bins), default=0) or 1
    width = 100 / (len(bins) or 1)
    return [
        Bar(
            x=round(place * width, 2),
            y=round(100 - height, 2),
            width=round(width, 2),
            height=height,
            bin=one,
        )
        for place, one in enumerate(bins)
        for height in [max(4, round(100 * one.count / highest, 2)) if one.count else 0]
    ]


def trade_off(found: TradeOff, report: Report) -> Chart | None:
    """Return score against cost or duration, with the runs that none beats.

    None if that were fewer than three points.
    """
    marks: dict[UUID, Mark] = {one.run_id: "front" for one in found.points}
    points = {one.run_id: one for one in (*found.others, *found.points)}
    # What has a label is drawn last, over the others.
    for point, mark in _labelled(found.measure, report):
        points.pop(point.run_id, None)
        points[point.run_id] = point
        marks[point.run_id] = mark
    if len({(one.value, one.weighted_score) for one in points.values()}) < 3:  # noqa: PLR2004
        return None
    is_duration = found.measure == "duration_ms"
    x = costs(
        "duration" if is_duration else "cost, USD",
        [one.value for one in points.values()],
        is_duration=is_duration,
    )
    y = linear("weighted score", [one.weighted_score for one in points.values()])
    front = sorted(found.points, key=lambda one: one.value)
    path = [f"M{10 * x.place(front[0].value):g} {_down(y, front[0].weighted_score)}"]
    path += [
        f"H{10 * x.place(one.value):g}V{_down(y, one.weighted_score)}"
        for one in front[1:]
    ]
    dots = tuple(
        Dot(
            x=x.place(one.value),
            y=_up(y, one.weighted_score),
            mark=marks.get(run_id, "run"),
        )
        for run_id, one in points.items()
    )
    return Chart(x=x, y=y, steps="".join(path), dots=dots)


def _labelled(measure: Measure, report: Report) -> Iterator[tuple[TradeOffPoint, Mark]]:
    """Yield the runner-up and the winner, if they are known to have the measure."""
    rival = runner_up(report)
    marks: dict[int, Mark] = {1: "winner"}
    if rival is not None:
        marks[rival.rank] = "runner-up"
    for run in reversed(report.top):
        value = run.cost_usd if measure == "cost_usd" else run.duration_ms
        if run.rank in marks and value is not None:
            point = TradeOffPoint(
                run_id=run.run_id,
                weighted_score=run.weighted_score,
                value=float(value),
            )
            yield point, marks[run.rank]


def _up(axis: Axis, value: float) -> float:
    return round(100 - axis.place(value), 2)


def _down(axis: Axis, value: float) -> str:
    return f"{10 * _up(axis, value):g}"


@dataclass(frozen=True, kw_only=True)
class Span:
    """A mean and its interval on a line that several share."""

    low: float
    mean: float
    high: float


def spans(parameters: Sequence[Parameter]) -> dict[tuple[str, int], Span]:
    """Return the means of the values of parameters, on one scale for all of them.

    By the parameter's path and the value's place.
    """
    values: list[tuple[str, int, ParameterValue]] = [
        (parameter.path, place, value)
        for parameter in parameters
        for place, value in enumerate(parameter.values)
    ]
    if not values:
        return {}
    axis = linear("", [end for *_, value in values for end in (value.low, value.high)])
    return {
        (path, place): Span(
            low=axis.place(value.low),
            mean=axis.place(value.mean),
            high=axis.place(value.high),
        )
        for path, place, value in values
    }


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where the scores of a case are on the line that all cases share."""

    winner: float
    other: float


def case_spots(found: ByCase) -> list[Spot]:
    """Return the scores of the cases that are listed, all on one scale."""
    scores = [score for one in found.cases for score in (one.winner, one.other)]
    axis = linear("", scores)
    return [
        Spot(winner=axis.place(one.winner), other=axis.place(one.other))
        for one in found.cases
    ]


@dataclass(frozen=True, kw_only=True)
class Track:
    """A parameter of the best runs, as a line from its least value to its most.

    `places` are those of the runs, None for one without the parameter.
    """

    path: str
    low: str
    high: str
    places: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """The best runs as lines across the tracks of their parameters, best first.

    The paths are in percent of the width and in pixels of the height; `rows` is where
    each track is in that height.
    """

    tracks: tuple[Track, ...]
    rows: tuple[int, ...]
    height: int
    paths: tuple[str, ...]


_MOST_TRACKS = 12

_TRACK_HEIGHT = 48
"""Pixels from one track to the next, as in the style sheet."""


def parallel(parameters: Sequence[TopParameter]) -> Parallel | None:
    """Return the parameters of the best runs that can be drawn below one another.

    Numbers by their size; anything else in the order of the alphabet, equally far
    apart. None if there are fewer than 3: the table shows as much.
    """
    found = [track for one in parameters if (track := _track(one)) is not None]
    tracks = found[:_MOST_TRACKS]
    if len(tracks) < 3 or len(tracks[0].places) < 3:  # noqa: PLR2004
        return None
    height = _TRACK_HEIGHT * len(tracks)
    rows = range(_TRACK_HEIGHT // 2, height, _TRACK_HEIGHT)
    runs = zip(*(track.places for track in tracks), strict=True)
    return Parallel(
        tracks=tuple(tracks),
        rows=tuple(rows),
        height=height,
        paths=tuple(_line(places, rows) for places in runs),
    )


def _line(places: Sequence[float | None], rows: Sequence[int]) -> str:
    """Return the path of a run, interrupted where a parameter is missing."""
    path = []
    is_drawing = False
    for place, row in zip(places, rows, strict=True):
        if place is not None:
            path.append(f"{'L' if is_drawing else 'M'}{place:g} {row}")
        is_drawing = place is not None
    return "".join(path)


_LONGEST_LABEL = 24


def _track(parameter: TopParameter) -> Track | None:
    given = [
        value
        for value, is_set in zip(parameter.values, parameter.is_set, strict=True)
        if is_set
    ]
    labels = sorted({_label(value) for value in given})
    if len(labels) < 2 or max(map(len, labels)) > _LONGEST_LABEL:  # noqa: PLR2004
        return None
    if all(type(value) in (int, float) for value in given):
        labels.sort(key=float)
        axis = linear("", [float(label) for label in labels])
        places = {label: axis.place(float(label)) for label in labels}
    else:
        step = 92 / (len(labels) - 1)
        places = {
            label: round(4 + step * place, 2) for place, label in enumerate(labels)
        }
    return Track(
        path=parameter.path,
        low=labels[0],
        high=labels[-1],
        places=tuple(
            places[_label(value)] if is_set else None
            for value, is_set in zip(parameter.values, parameter.is_set, strict=True)
        ),
    )


def _label(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
