"""How much more work is done on more input: the steps of our Python, and all the time.

Steps are counted, so they are the same on any machine. What runs in C or in a library
is timed: on eight times the input, against the input itself in the same run. The square
of it would be 64 times. The wider the step, the smaller the input that shows a square.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Work = Callable[[], object]

STEPS_OF_TWICE = 2.5
# Sorting and memory that is slower from some size on take up to twice their share.
TIME_OF_EIGHT_TIMES = 16
_TRIES = 6


def grows_too_fast(work: Callable[[int], Work], *, size: int, large: int) -> str:
    """Say how much more is done on twice or eight times as much; nothing if it is fair.

    `work(n)` prepares an input of the size n. Steps are counted at `size`, where that
    is quick, and time is taken from `large` on, where the input outweighs all else.
    """
    few, many = _steps(work(size)), _steps(work(2 * size))
    if many > STEPS_OF_TWICE * few:
        return f"{many} steps after {few} on half of it"
    short, long = _times(work, large)
    # Memory is slower from some size on, once: what is not linear goes on growing.
    if long > TIME_OF_EIGHT_TIMES * short:
        short, long = _times(work, 4 * large)
    if long > TIME_OF_EIGHT_TIMES * short:
        return f"{long:.3f} s after {short:.3f} s on an eighth of it"
    return ""


def _times(work: Callable[[int], Work], size: int) -> tuple[float, float]:
    """Return the time that the work takes, and that on eight times as much."""
    little, much = work(size), work(8 * size)
    short, long = _seconds(little), _seconds(much)
    # Another process can only add to a time: the shortest of several is the truest.
    for _ in range(_TRIES):
        if long <= TIME_OF_EIGHT_TIMES * short:
            break
        short, long = min(short, _seconds(little)), min(long, _seconds(much))
    return short, long


def _steps(work: Work) -> int:
    """Return how many lines of our Python are run."""
    with counted_steps() as steps:
        work()
        return steps()


@contextmanager
def counted_steps() -> Iterator[Callable[[], int]]:
    """Count lines of our Python; what is given returns how many were run so far."""
    count = 0

    def line(_frame: FrameType, _event: str, _argument: Any) -> object:  # noqa: ANN401
        nonlocal count
        count += 1
        return line

    def call(frame: FrameType, _event: str, _argument: Any) -> object:  # noqa: ANN401
        # To trace libraries takes longer than all else, and drowns what we do.
        ours = frame.f_globals.get("__name__", "").startswith("promptlooper_")
        return line if ours else None

    with _traced(call):
        yield lambda: count


@contextmanager
def _traced(trace: Any) -> Iterator[None]:  # noqa: ANN401  as typeshed has it
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _seconds(work: Work) -> float:
    """Return the processor's time that this thread takes."""
    start = time.thread_time()
    work()
    return time.thread_time() - start
