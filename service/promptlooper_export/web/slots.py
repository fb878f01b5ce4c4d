"""Limit how many exports run at once, in total and for each subject."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from promptlooper_export.errors import TooManyExportsError

WAIT_SECONDS = 2.0
"""How long an export waits for a slot; most take a few milliseconds."""


class Slots:
    """The slots of one process; a subject may hold half of them, and at least one.

    An export holds a slot while it is rendered, not while it is sent. A slow reader
    only occupies spool space, and a full spool has its own error.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._share = max(1, slots // 2)
        self._held: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, subject: str) -> Iterator[None]:
        """Hold a slot for the length of the block.

        Raises TooManyExportsError if none becomes free within WAIT_SECONDS.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._may(subject), WAIT_SECONDS):
                detail = (
                    "Too many exports are running, for this token's subject or in all; "
                    "try again shortly."
                )
                raise TooManyExportsError(detail)
            self._free -= 1
            self._held[subject] += 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._held[subject] -= 1
                # Otherwise the counter would grow with every subject ever seen.
                if not self._held[subject]:
                    del self._held[subject]
                # All, since the one that notify() picks may be over its share.
                self._changed.notify_all()

    def _may(self, subject: str) -> bool:
        return self._free > 0 and self._held[subject] < self._share
