"""SQLite's write-ahead log, which can only start over in a moment without readers.

SQLite copies the log into the file as it goes, but writes it from its beginning again
only if nobody reads from it (https://sqlite.org/wal.html, "Avoiding Excessively Large
WAL Files"). Exports that overlap without a pause would let it grow without end. So once
it is large and grows, new snapshots wait until those that are open have ended and the
runner has started it over.

Every worker looks at the log itself, so all of them wait at the same time.
"""

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from promptlooper_export.errors import DatabaseUnavailableError

LIMIT_BYTES = 8 << 20
"""How much the log may hold before snapshots wait: twice what SQLite aims at."""

WAIT_SECONDS = 10
"""How long a snapshot waits for the log to start over."""

_RESTING_SECONDS = 1.5
"""A runner that has not committed for so long lets the log grow slowly, if at all."""

_ALONE_SECONDS = 2 * _RESTING_SECONDS
"""How long nobody of us reads until it is certain that somebody else does: one commit
of the runner's copies the rest of the log into the file, the next one starts over."""

_POLL_SECONDS = 0.02

# https://sqlite.org/fileformat2.html, section 4.1: the size of a page and the salts in
# the header, and the salts in front of each page.
_HEADER_BYTES = 32
_PAGE_SIZE = slice(8, 12)
_SALTS = slice(16, 24)
_FRAME_BYTES = 24
_FRAME_SALTS = slice(8, 16)


class WriteAheadLog:
    """The log of one SQLite file, and the snapshots of this process and its forks."""

    def __init__(self, path: Path) -> None:
        """Take the path of the database."""
        self._path = Path(f"{path}-wal")
        self._readers = _Readers()
        # What somebody else keeps large; waiting for it again would be in vain.
        self._limit = LIMIT_BYTES
        self._salts = b""

    @contextmanager
    def reading(self, deadline: float) -> Iterator[None]:
        """Let the block read the database, as soon as the log allows.

        Raises DatabaseUnavailableError if that takes too long, or lasts beyond the
        deadline, a moment of time.monotonic().
        """
        self._wait(min(deadline, time.monotonic() + WAIT_SECONDS))
        with self._readers.one():
            yield

    def close(self) -> None:
        """Close what the workers share."""
        self._readers.close()

    def _wait(self, until: float) -> None:
        """Wait until the log has started over, or only somebody else keeps it large."""
        read_at = time.monotonic()
        while (salts := self._overlong()) is not None:
            now = time.monotonic()
            if self._readers.any():
                read_at = now
            if now - read_at > _ALONE_SECONDS:
                self._tolerate(salts)
            elif now > until:
                msg = (
                    f"{self._path} is large, and exports that are running keep the "
                    "runner from starting it over; try again shortly."
                )
                raise DatabaseUnavailableError(msg)
            else:
                time.sleep(_POLL_SECONDS)

    def _overlong(self) -> bytes | None:
        """Return the salts of a log that is over the limit and grows, else None."""
        # SQLite has no locks on this file, which closing it would give up.
        with suppress(OSError), self._path.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if found.st_size < LIMIT_BYTES:
                return None
            if time.time() - found.st_mtime > _RESTING_SECONDS:
                return None
            header = opened.read(_HEADER_BYTES)
            salts = header[_SALTS]
            frame = _FRAME_BYTES + int.from_bytes(header[_PAGE_SIZE], "big")
            limit = self._limit if salts == self._salts else LIMIT_BYTES
            # The file does not shrink. Beyond the end of the log, its pages are left
            # over from before it started over, with the salts of that time.
            opened.seek(_HEADER_BYTES + limit // frame * frame)
            if opened.read(_FRAME_BYTES)[_FRAME_SALTS] == salts:
                return salts
        return None

    def _tolerate(self, salts: bytes) -> None:
        """Allow a log that nobody of us reads to double before we wait again."""
        limit = self._limit if salts == self._salts else LIMIT_BYTES
        self._limit, self._salts = 2 * limit, salts


class _Readers:
    """Counts the open snapshots of this process, and knows of those of its forks.

    The count of a worker that is killed would stay, so each worker with open snapshots
    has a lock on a file without a name, which the system gives up for it.
    """

    def __init__(self) -> None:
        self._file = _nameless_file()
        if self._file is not None:
            # Applications come and go in one process, and nobody need close them.
            weakref.finalize(self, self._file.close)
        self._turn = threading.Lock()
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._turn:
            if not self._count:
                self._lock(fcntl.LOCK_SH)
            self._count += 1
        try:
            yield
        finally:
            with self._turn:
                self._count -= 1
                if not self._count:
                    self._lock(fcntl.LOCK_UN)

    def any(self) -> bool:
        """Return whether any snapshot is open, here or in another worker."""
        with self._turn:
            if self._count:
                return True
            try:
                self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            self._lock(fcntl.LOCK_UN)
            return False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _lock(self, operation: int) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, operation)


def _nameless_file() -> IO[bytes] | None:
    """Return a new file; None without a directory for it, where nothing serves."""
    try:
        return TemporaryFile()
    except OSError:
        return None
