"""How much more work is done on more input: Python's own steps, and C's time.

Steps are counted, so they are the same on any machine. What runs in C, such as a
regular expression, has no steps to count: its time on four times the input is compared
with its own time on the input, in the same run. The square of it would be 16 times.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Work = Callable[[], object]

STEPS_OF_TWICE = 2.5
TIME_OF_FOUR_TIMES = 8
_TRIES = 6


def grows_too_fast(work: Callable[[int], Work], *, size: int, large: int) -> str:
    """Say how much more is done on twice and four times as much; nothing if it is fair.

    `work(n)` prepares an input of the size n. Steps are counted at `size`, where that
    is quick, and time is taken at `large`, where C's work outweighs all else.
    """
    few, many = _steps(work(size)), _steps(work(2 * size))
    if many > STEPS_OF_TWICE * few:
        return f"{many} steps after {few} on half of it"
    short, long = _times(work, large)
    # Memory is slower from some size on, once: what is not linear goes on growing.
    if long > TIME_OF_FOUR_TIMES * short:
        short, long = _times(work, 4 * large)
    if long > TIME_OF_FOUR_TIMES * short:
        return f"{long:.3f} s after {short:.3f} s on a quarter of it"
    return ""


def _times(work: Callable[[int], Work], size: int) -> tuple[float, float]:
    """Return the time that the work takes, and that on four times as much."""
    little, much = work(size), work(4 * size)
    short, long = _seconds(little), _seconds(much)
    # Another process can only add to a time: the shortest of several is the truest.
    for _ in range(_TRIES):
        if long <= TIME_OF_FOUR_TIMES * short:
            break
        short, long = min(short, _seconds(little)), min(long, _seconds(much))
    return short, long


def _steps(work: Work) -> int:
    """Return how many lines of Python are run."""
    with counted_steps() as steps:
        work()
        return steps()


@contextmanager
def counted_steps() -> Iterator[Callable[[], int]]:
    """Count lines of Python; what is given returns how many were run so far."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> object:  # noqa: ANN401
        nonlocal count
        count += event == "line"
        return trace

    with _traced(trace):
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
