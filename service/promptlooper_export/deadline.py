"""When an export must be over, wherever in a long value it is.

Nothing can interrupt a thread, so what takes long asks. The deadline is not an argument
of it: what replaces a match of a pattern, for one, is given the match alone.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_deadline = ContextVar("deadline", default=math.inf)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let what asks in the block raise TimeoutError after a time.monotonic()."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def check_deadline() -> None:
    """Raise TimeoutError if the time of the export is over.

    A format calls it in loops that take long between two pieces of its body.
    """
    if time.monotonic() > _deadline.get():
        raise TimeoutError


def in_time(items: Iterable[T]) -> Iterator[T]:
    """Yield the items; raise TimeoutError if the time of the export is over."""
    for item in items:
        check_deadline()
        yield item
