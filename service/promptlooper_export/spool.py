"""Whole bodies: rendering fills a spool, and only a finished spool is ever sent."""

import hashlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any, Self
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.errors import (
    ExportTooLargeError,
    SettingsError,
    SpoolFullError,
)

IN_MEMORY = 1 << 20
"""Bytes kept in memory before a spool moves to a temporary file."""

CHUNK_BYTES = 1 << 16
"""Bytes of a body that are read at once."""

_TRIAL_BYTES = 1 << 12
"""Bytes that a directory must take to count as usable: a page, or a block of a disk."""


class Space:
    """The bytes that all bodies of a process may take together."""

    def __init__(self, total: float = math.inf) -> None:
        self._free = total
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Take some bytes; raises SpoolFullError if there are not as many."""
        with self._lock:
            if count > self._free:
                detail = (
                    "Too many exports wait to be sent (PROMPTLOOPER_SPOOL_TOTAL_BYTES);"
                    " try again shortly."
                )
                raise SpoolFullError(detail)
            self._free -= count

    def give_back(self, count: int) -> None:
        """Let others take what was taken."""
        with self._lock:
            self._free += count


class _Spooled(SpooledTemporaryFile[bytes]):
    """A file without a name, whose bytes belong to a space until it is closed."""

    def __init__(self, space: Space) -> None:
        super().__init__(max_size=IN_MEMORY)
        self._space = space
        self._taken = 0

    def write(self, piece: Any) -> int:  # noqa: ANN401  as in the base
        self._space.take(len(piece))
        self._taken += len(piece)
        return super().write(piece)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._space.give_back(self._taken)
            self._taken = 0


def keep_files_in(directory: str | None) -> None:
    """Have every temporary file of this process made there, also those of formats.

    None stands for the system's temporary directory. Raises SettingsError if it takes
    no file.
    """
    # Formats, like the libraries that they use, ask only the module where to put files.
    tempfile.tempdir = directory
    try:
        _write_on_trial()
    except OSError as error:
        msg = (
            f"PROMPTLOOPER_SPOOL_DIR: no temporary file can be written: "
            f"{error.strerror}; set it to a directory that can be written to"
        )
        raise SettingsError(msg) from error


def require_room() -> None:
    """Raise SpoolFullError if no file can be written where bodies are kept."""
    try:
        _write_on_trial()
    except OSError as error:
        raise no_room(error) from error


def _write_on_trial() -> None:
    with TemporaryFile() as file:
        file.write(bytes(_TRIAL_BYTES))


def no_room(error: OSError) -> SpoolFullError:
    """Return what to raise if a temporary file cannot be written."""
    detail = (
        f"Exports cannot be kept until they are sent: {error.strerror} "
        "(PROMPTLOOPER_SPOOL_DIR); try again shortly."
    )
    return SpoolFullError(detail)


@dataclass(frozen=True, kw_only=True)
class Body:
    """A finished body: `file` stands at its start, and leaving a `with` closes it.

    `title` is what a file made from it may be named after; it may hold any character.
    `content` is a digest of what was rendered: equal for equal content. `row_count` is
    the number of runs in a document of runs, None in others. `last_run` is the last one
    on a page that is not the last page.
    """

    title: str
    content: bytes
    row_count: int | None
    last_run: UUID | None
    file: IO[bytes]
    length: int
    sha256: bytes
    notices: tuple[Notice, ...]

    def __enter__(self) -> Self:
        """Return the body."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which deletes it."""
        self.file.close()

    def whole(self) -> bytes:
        """Read the whole file, which should be small."""
        return b"".join(self.chunks())

    def chunks(self, part: range | None = None) -> Iterator[bytes]:
        """Read the file piece by piece, whole or the bytes at the places of `part`."""
        places = range(self.length) if part is None else part
        self.file.seek(places.start)
        for start in places[::CHUNK_BYTES]:
            yield self.file.read(min(CHUNK_BYTES, places.stop - start))


def spool(
    pieces: Iterable[bytes | Notice],
    *,
    title: str,
    content: bytes | None,
    row_count: int | None,
    last_run: UUID | None,
    limit: int,
    space: Space,
) -> Body:
    """Collect the pieces that a format yields.

    `content` is a digest of the content, by default that of the bytes; `limit` is in
    bytes. Raises ExportTooLargeError past it, and SpoolFullError if no space is left;
    nothing of the spool is left then.
    """
    notices: list[Notice] = []
    file, length, sha256 = _fill(_checked(pieces, notices, limit=limit), space)
    return Body(
        title=title,
        content=content or sha256,
        row_count=row_count,
        last_run=last_run,
        file=file,
        length=length,
        sha256=sha256,
        notices=tuple(notices),
    )


def recode(
    body: Body,
    encode: Callable[[Iterable[bytes]], Iterable[bytes]],
    *,
    space: Space,
) -> Body:
    """Return the same body in a content coding; the file of the first is closed.

    Raises SpoolFullError.
    """
    with body:
        file, length, sha256 = _fill(encode(body.chunks()), space)
    return replace(body, file=file, length=length, sha256=sha256)


def _fill(pieces: Iterable[bytes], space: Space) -> tuple[IO[bytes], int, bytes]:
    """Write the pieces into a file that has no name and goes away when closed."""
    digest = hashlib.sha256()
    length = 0
    # Not in a `with`: the Body that is returned owns it.
    file = _Spooled(space)
    try:
        for piece in pieces:
            length += len(piece)
            digest.update(piece)
            _write(file, piece)
        _rewind(file)
    # An interrupt must give the space back as well.
    except BaseException:
        with suppress(OSError):  # what did not fit does not fit now either
            file.close()
        raise
    return file, length, digest.digest()


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise no_room(error) from error


def _rewind(file: IO[bytes]) -> None:
    try:
        file.seek(0)  # which writes the last bytes
    except OSError as error:
        raise no_room(error) from error


def _checked(
    pieces: Iterable[bytes | Notice], notices: list[Notice], *, limit: int
) -> Iterator[bytes]:
    """Yield the bytes, and collect the notices among them."""
    length = 0
    for piece in pieces:
        if isinstance(piece, Notice):
            notices.append(piece)
            continue
        length += len(piece)
        # Before the piece is written, so that the spool never exceeds the limit.
        if length > limit:
            detail = (
                f"The export is larger than {limit} bytes "
                "(PROMPTLOOPER_SPOOL_MAX_BYTES)."
            )
            raise ExportTooLargeError(detail, limit=limit)
        yield piece
