"""When a redaction must be over, wherever in a long text it is.

The deadline is not an argument, since what replaces a match of a pattern is given the
match alone.
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
    """Let redaction in the block raise TimeoutError after a time.monotonic()."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def check() -> None:
    """Raise TimeoutError after the deadline."""
    if time.monotonic() > _deadline.get():
        raise TimeoutError


def in_time(items: Iterable[T]) -> Iterator[T]:
    """Yield the items; raise TimeoutError after the deadline."""
    for item in items:
        check()
        yield item
