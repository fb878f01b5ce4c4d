"""What a worker is answering, in memory that its parent process can read."""

from collections.abc import Iterator
from itertools import count
from mmap import mmap
from threading import local

_SIZE = 1 << 14  # bytes of a row; only what is written takes memory
_LENGTH = 2  # bytes at its beginning


class InFlight:
    """A row for each thread, with a note of the request that it is answering.

    Made before the fork. The worker writes, and its parent reads what is left once the
    worker has died.
    """

    def __init__(self, threads: int) -> None:
        self._memory = mmap(-1, threads * _SIZE)  # shared by the processes
        self._starts = range(0, threads * _SIZE, _SIZE)
        self._numbers = count()
        self._own = local()

    def note(self, text: str) -> None:
        """Keep a text for the calling thread, instead of its last one."""
        encoded = text.encode()
        self.clear()
        start = self._start() + _LENGTH
        self._memory[start : start + len(encoded)] = encoded
        # Last, so that whoever reads a length finds the whole text.
        self._set_length(len(encoded))

    def clear(self) -> None:
        """Forget the calling thread's text."""
        self._set_length(0)

    def left(self) -> Iterator[str]:
        """Yield every text that was not forgotten."""
        for start in self._starts:
            text = start + _LENGTH
            if length := int.from_bytes(self._memory[start:text]):
                yield self._memory[text : text + length].decode()

    def _set_length(self, length: int) -> None:
        start = self._start()
        self._memory[start : start + _LENGTH] = length.to_bytes(_LENGTH)

    def _start(self) -> int:
        if not hasattr(self._own, "start"):
            self._own.start = self._starts[next(self._numbers)]
        return int(self._own.start)
