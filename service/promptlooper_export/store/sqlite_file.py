"""How a SQLite file is opened without leaving a trace beside it.

In WAL mode even a reader needs the files `-wal` and `-shm`. If it makes them, they
belong to it, and the runner may not be able to write to them. Whoever owns the file (or
is root, for whom SQLite gives them to the owner) opens it so that they are removed when
the last connection closes; nothing is written through it. Anybody else reads through
files that are there, and copies a file that nobody has open.

Outside WAL a reader makes no files.
"""

import os
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from peewee import OperationalError

_HEADER = b"SQLite format 3\x00"
_VERSIONS = slice(18, 20)
"""Where a file's header says in which mode it is read and written."""

_WAL = b"\x02\x02"
_ROLLBACK = b"\x01\x01"

_SETTLED_SECONDS = 2.0
"""A file that changed less long ago may change again without its time changing."""

_ATTEMPTS = 5


class SqliteFile:
    """A file as this process opens it; `location` is the URI to open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.location = _uri(path, "mode=ro")
        self._copied: tuple[tuple[object, ...], Path] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def opening(self) -> tuple[object, ...] | None:
        """Return how the file is to be opened now, and set `location` accordingly.

        It is another one if connections that are open lead elsewhere; the first member
        is `copy` if they lead to a copy. None if there is no file.
        """
        try:
            found = self._path.stat()
        except OSError:
            self.location = _uri(self._path, "mode=ro")
            return None
        mode = "ro"
        if _is_wal(self._path, found.st_dev, found.st_ino):
            if self._is_ours(found):
                mode = "rw"
            elif not all(self._beside(end).exists() for end in ("-wal", "-shm")):
                return self._copy()
        self.location = _uri(self._path, f"mode={mode}")
        return (mode, found.st_dev, found.st_ino)

    def is_settled(self) -> bool:
        """Return whether a change from now on would change the file's time."""
        return time.time() - self._path.stat().st_mtime > _SETTLED_SECONDS

    def _copy(self) -> tuple[object, ...] | None:
        """Copy a file that nobody has open, unless there is a copy of it as it is."""
        for _ in range(_ATTEMPTS):
            before = _state(self._path.stat())
            if self._copied is None or self._copied[0] != before:
                self._copied = (before, self._copied_file())
            if self._beside("-wal").exists():
                return self.opening()
            if _state(self._path.stat()) == before:
                # Nobody writes to the copy, so it is immutable.
                self.location = _uri(self._copied[1], "mode=ro&immutable=1")
                return ("copy", *before)
        msg = f"{self._path} changes while it is copied"
        raise OperationalError(msg)

    def _copied_file(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="promptlooper-")
        copy = Path(self._folder.name) / f"{time.monotonic_ns()}.db"
        shutil.copyfile(self._path, copy)
        with copy.open("r+b") as opened:
            opened.seek(_VERSIONS.start)
            opened.write(_ROLLBACK)
        return copy

    def _is_ours(self, found: os.stat_result) -> bool:
        return (
            os.geteuid() in (0, found.st_uid)
            and os.access(self._path, os.W_OK)
            and os.access(self._path.parent, os.W_OK)
        )

    def _beside(self, end: str) -> Path:
        return Path(f"{self._path}{end}")


@lru_cache(maxsize=64)
def _is_wal(path: Path, device: int, inode: int) -> bool:  # noqa: ARG001  of which file
    """Return whether a file is in WAL mode.

    Asked once of each file, before SQLite opens it: to close a descriptor gives up all
    locks that this process holds on the file (POSIX).
    """
    with path.open("rb") as opened:
        header = opened.read(_VERSIONS.stop)
    return header.startswith(_HEADER) and header[_VERSIONS] == _WAL


def _state(found: os.stat_result) -> tuple[object, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"
