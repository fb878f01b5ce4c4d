"""Where a database is, and how a SQLite file is opened without a trace.

In WAL mode even a reader needs the files `-wal` and `-shm`. If it makes them, they
belong to it, and the runner may not be able to write to them. Whoever owns the file (or
is root, for whom SQLite gives them to the owner) opens it so that they are removed when
the last connection closes; nothing is written through it. Anybody else reads through
files that are there, and copies a file that nobody has open.

Outside WAL a reader makes no files, but holds up commits for as long as it reads. So
only a small file is read as it is; a larger one is copied in one go, and the copy read.
A runner that was killed outside WAL leaves a journal, by which the file must be
restored before anybody can read it. That is the runner's business at its next start;
until then the copy is restored and read.
"""

import os
import re
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

from peewee import OperationalError

from promptlooper_export.errors import SettingsError

_DRIVER = re.compile(r"^(sqlite|postgresql|postgres)\+\w+:")
"""A URL as SQLAlchemy has it names a driver, which is the runner's business."""

# Credentials end at the first @, and neither they nor the host hold a slash. A second @
# shows that a password was not percent-encoded: the driver would take a part of it for
# a host, a port or a database, and name that in its errors.
_ENCODED = re.compile(r"([^@/]*@)?[^@?]*(\?.*)?", re.DOTALL)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a `sqlite:///FILE` URL, None for another database's URL.

    What SQLAlchemy adds to a URL, a driver's name and its options after `?`, is passed
    over.
    """
    url = _DRIVER.sub(r"\1:", url)
    if not url.startswith("sqlite:"):
        return None
    path = url.removeprefix("sqlite:///").partition("?")[0]
    # A URI of SQLite's own would become the name of a new file.
    if not url.startswith("sqlite:///") or not path or path.startswith("file:"):
        msg = "PROMPTLOOPER_DATABASE_URL: SQLite's form is sqlite:///FILE"
        raise SettingsError(msg)
    return Path(path)


def postgresql_location(url: str) -> str:
    """Return the URL in the form that the driver takes.

    Raises SettingsError for another database's URL, for one that the driver cannot
    parse, and without the driver.
    """
    url = _DRIVER.sub(r"\1:", url)
    if not url.startswith(("postgresql://", "postgres://")):
        msg = (
            "PROMPTLOOPER_DATABASE_URL is neither sqlite:///FILE nor "
            "postgresql://USER@HOST/NAME"
        )
        raise SettingsError(msg)
    try:
        # An extra, and slow to import.
        from psycopg import ProgrammingError, conninfo  # noqa: PLC0415
    except ModuleNotFoundError:
        msg = (
            "PROMPTLOOPER_DATABASE_URL names PostgreSQL, but its driver is missing: "
            "pip install 'promptlooper-export[postgres]'"
        )
        raise SettingsError(msg) from None
    rest = url.split("://", 1)[1]
    location = f"postgresql://{rest}"
    try:
        conninfo.conninfo_to_dict(location)
        is_valid = _ENCODED.fullmatch(rest) is not None
    except ProgrammingError:  # its message may hold the password
        is_valid = False
    if not is_valid:
        msg = (
            "PROMPTLOOPER_DATABASE_URL is not a valid PostgreSQL URL: percent-encode "
            "special characters in user and password (%25 for %, %40 for @, %2F for /, "
            "%20 for a blank), and check the names of its parameters"
        )
        raise SettingsError(msg)
    return location


def sort_in(directory: str) -> None:
    """Have SQLite make its own temporary files there, for the whole process.

    It would look for a directory by itself, and not where Python looks.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        quoted = directory.replace("'", "''")
        connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")


_HEADER = b"SQLite format 3\x00"
_VERSIONS = slice(18, 20)
"""The bytes of a file's header that say how it is written and read: 2 means WAL."""

_WAL = b"\x02\x02"
_ROLLBACK = b"\x01\x01"

_SETTLED_SECONDS = 2.0
"""A file that changed more recently may change again without its time changing."""

_DIRECT_BYTES = 1 << 20
"""The largest file outside WAL that is read as it is, which takes about a quarter of a
second whatever the export; copying as much takes a few milliseconds."""

_ATTEMPTS = 5

_BESIDE = ("-wal", "-journal")
"""What SQLite adds to the name of a file that another one belongs to."""

Mode = Literal["ro", "rw", "copy", "backup"]


class Look(NamedTuple):
    """How a file is to be opened, and what the system says of it."""

    mode: Mode
    found: os.stat_result

    @property
    def identity(self) -> tuple[object, ...]:
        """What differs if open connections lead to another file."""
        return (self.mode, self.found.st_dev, self.found.st_ino)

    @property
    def state(self) -> tuple[object, ...]:
        """What also differs if the file was written over, which SQLite cannot notice.

        A connection goes on with the pages that it has read as long as the counter in
        the file is the same, and a copy of another file may well have the same.
        """
        return (*self.identity, self.found.st_size, self.found.st_mtime_ns)


class SqliteFile:
    """A file as this process opens it; `location` is the URI to open."""

    def __init__(self, path: Path, *, is_read_long: bool = True) -> None:
        """Take the file, and whether more than a few rows are read at once."""
        self._path = path
        # Asked several times a request, which a Path would make five times slower.
        self._name, self._folder_name = str(path), str(path.parent)
        self._is_read_long = is_read_long
        self.location = _uri(path, "mode=ro")
        self._copied: tuple[tuple[object, ...], Path] | None = None
        self._copies = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def look(self) -> Look | None:
        """Return how the file is to be opened now; None if there is no file."""
        try:
            found = os.stat(self._name)  # noqa: PTH116  see __init__
        except OSError:
            return None
        return Look(self._mode(found), found)

    def _mode(self, found: os.stat_result) -> Mode:
        if not _is_wal(self._path, found.st_dev, found.st_ino):
            if self._beside("-journal").exists() and _must_be_restored(self._path):
                return "copy"
            is_large = self._is_read_long and found.st_size > _DIRECT_BYTES
            return "backup" if is_large else "ro"
        if self._is_ours(found):
            return "rw"
        # Both are there as long as any connection is open, and need not be made then.
        is_open = all(self._beside(end).exists() for end in ("-wal", "-shm"))
        return "ro" if is_open else "copy"

    def opening(self) -> tuple[object, ...] | None:
        """Prepare to open the file as it is now, and set `location` accordingly.

        The value differs from the last one if open connections may lead to something
        else.
        """
        look = self.look()
        if look is not None and look.mode in ("copy", "backup"):
            return self._copy(look.mode)
        self.location = self.uri(look)
        return None if look is None else look.state

    def uri(self, look: Look | None) -> str:
        """Return the URI that opens the file itself as the look says."""
        return _uri(self._path, f"mode={look.mode if look else 'ro'}")

    def settled_state(self) -> tuple[object, ...] | None:
        """Return what changes whenever the file does; None while it might not."""
        found = self._found()
        changed = max(each.st_mtime for each in found)
        is_settled = time.time() - changed > _SETTLED_SECONDS
        return _state(*found) if is_settled else None

    def _found(self) -> list[os.stat_result]:
        """Look at the file, and at a log or journal that belongs to it."""
        found = [self._path.stat()]
        for end in _BESIDE:
            with suppress(FileNotFoundError):
                found.append(self._beside(end).stat())
        return found

    def _copy(self, mode: str) -> tuple[object, ...] | None:
        """Copy the file, unless there is a copy of it as it certainly is."""
        settled = self.settled_state()
        if settled is None or self._copied is None or self._copied[0] != settled:
            for _ in range(_ATTEMPTS):
                before = _state(*self._found())
                copy = self._next_copy()
                if mode == "backup":
                    _back_up(self._path, copy)
                    break
                _copy_at_rest(self._path, copy)
                look = self.look()
                if look is None or look.mode != "copy":  # opened meanwhile
                    return self.opening()
                if _state(*self._found()) == before:
                    break
            else:
                msg = f"{self._path} changes while it is copied"
                raise OperationalError(msg)
            self._copied = (settled or (), copy)
        # Nobody writes to the copy, so it is immutable.
        self.location = _uri(self._copied[1], "mode=ro&immutable=1")
        return ("copy", self._copies)

    def _next_copy(self) -> Path:
        """Return where the next copy goes; the last one is given up.

        Connections that have it open go on reading it.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="promptlooper-")
        if self._copied is not None:
            self._copied[1].unlink(missing_ok=True)
            self._copied = None
        self._copies += 1
        return Path(self._folder.name) / f"{self._copies}.db"

    def _is_ours(self, found: os.stat_result) -> bool:
        return (
            os.geteuid() in (0, found.st_uid)
            and os.access(self._name, os.W_OK)
            and os.access(self._folder_name, os.W_OK)
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


def _must_be_restored(path: Path) -> bool:
    """Return whether a file with a journal cannot be read before it is written to.

    Most journals belong to a transaction that is under way, and hold up nobody.
    """
    with closing(sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=0)) as opened:
        try:
            opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
    return False


def _copy_at_rest(path: Path, copy: Path) -> None:
    """Copy a file that nobody has open, with the log or journal that a crash left.

    Outside WAL, the copy can be opened read-only without the other files.
    """
    shutil.copyfile(path, copy)
    left = []
    for end in _BESIDE:
        with suppress(FileNotFoundError):
            left.append(shutil.copyfile(f"{path}{end}", f"{copy}{end}"))
    if not left:
        with copy.open("r+b") as opened:
            opened.seek(_VERSIONS.start)
            opened.write(_ROLLBACK)
        return
    with closing(sqlite3.connect(copy)) as recovered:
        recovered.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        recovered.execute("PRAGMA journal_mode = DELETE")


def _back_up(path: Path, copy: Path) -> None:
    """Copy a file outside WAL in one go, under one lock."""
    with (
        closing(sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=2)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


def _state(*found: os.stat_result) -> tuple[object, ...]:
    return tuple(
        (each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in found
    )


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"
