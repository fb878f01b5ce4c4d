"""Send to a rendering process what it asks for, while receiving what it gives."""

import math
import socket
import time
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from promptlooper_export.sandbox import frames

_AT_ONCE = 1 << 16


def exchange(
    channel: socket.socket, parcels: Iterator[bytes], *, deadline: float
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the frames that come through the channel until its other end is closed.

    No more is taken from `parcels`, and no more received, than the other side keeps up
    with. `deadline` is a moment of time.monotonic(). Raises TimeoutError past it and
    ValueError for a frame that cannot be.
    """
    channel.settimeout(0)  # never blocks
    parcel = memoryview(b"")
    received = bytearray()
    with DefaultSelector() as selector:
        selector.register(channel, EVENT_READ | EVENT_WRITE)
        while (remaining := deadline - time.monotonic()) > 0:
            ready = selector.select(None if math.isinf(remaining) else remaining)
            events = ready[0][1] if ready else 0
            if events & EVENT_WRITE:
                parcel = parcel or memoryview(next(parcels, b""))
                if not parcel:
                    selector.modify(channel, EVENT_READ)
                parcel = parcel[_send(channel, parcel) :]
            if events & EVENT_READ:
                data = _receive(channel)
                if not data:
                    return
                received += data
                yield from frames.complete(received)
    raise TimeoutError


def _send(channel: socket.socket, parcel: memoryview) -> int:
    """Send some of a parcel; to a process that reads no more, all of it is sent."""
    try:
        return channel.send(parcel)
    except ConnectionError:
        return len(parcel)


def _receive(channel: socket.socket) -> bytes:
    """Receive some bytes; none where the process has ended."""
    try:
        return channel.recv(_AT_ONCE)
    except ConnectionError:
        return b""
