"""How many exports run at once, and how they are shared out."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from promptlooper_export.errors import TooManyExportsError

WAIT_SECONDS = 2.0
"""How long an export waits for a slot; most take a few milliseconds."""


class Slots:
    """The slots of one process; a subject holds at most half of them, and always one.

    A slot is held while an export is rendered, not while it is sent: a slow reader
    holds space in the spool only, and a full spool refuses by itself.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._share = max(1, slots // 2)
        self._held: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, subject: str) -> Iterator[None]:
        """Hold a slot for the length of the block.

        Raises TooManyExportsError where none became free for a while.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._may(subject), WAIT_SECONDS):
                detail = (
                    "Too many exports are running, of this token's subject or of all; "
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
                if not self._held[subject]:
                    del self._held[subject]
                self._changed.notify_all()

    def _may(self, subject: str) -> bool:
        return self._free > 0 and self._held[subject] < self._share
