"""What the service must never be: a body as it is made, without length and digest."""

from collections.abc import Callable, Iterator
from typing import Any


def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
    """Answer any request with a whole stream."""
    start("200 OK", [("Content-Type", "text/csv")])
    for row in range(100):
        yield f"{row},whole\n".encode()
