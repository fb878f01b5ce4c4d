"""Whole bodies: rendering fills a spool, and only a finished spool is ever sent."""

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import IO, Self
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.errors import ExportTooLargeError, SpoolFullError

IN_MEMORY = 1 << 20
"""Bytes kept in memory before a spool moves to a temporary file."""

CHUNK_BYTES = 1 << 16
"""Bytes of a body that are read at once."""

# A full disk, or an exceeded quota.
_FULL = {errno.ENOSPC, errno.EDQUOT}


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
    directory: str | None,
) -> Body:
    """Collect the pieces that a format yields.

    `content` is a digest of the content, by default that of the bytes; `limit` is in
    bytes. Raises ExportTooLargeError past it, and SpoolFullError if no space
    is left in `directory`; nothing of the spool is left then.
    """
    notices: list[Notice] = []
    file, length, sha256 = _fill(_checked(pieces, notices, limit=limit), directory)
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
    directory: str | None,
) -> Body:
    """Return the same body in a content coding; the file of the first is closed.

    Raises SpoolFullError.
    """
    with body:
        file, length, sha256 = _fill(encode(body.chunks()), directory)
    return replace(body, file=file, length=length, sha256=sha256)


def _fill(
    pieces: Iterable[bytes], directory: str | None
) -> tuple[IO[bytes], int, bytes]:
    """Write the pieces into a file that has no name and goes away when closed."""
    digest = hashlib.sha256()
    length = 0
    # Not in a `with`: the Body that is returned owns it.
    file = SpooledTemporaryFile(max_size=IN_MEMORY, dir=directory)  # noqa: SIM115
    try:
        for piece in pieces:
            length += len(piece)
            digest.update(piece)
            _write(file, piece)
        file.seek(0)
    # An interrupt must give the space back as well.
    except BaseException:
        file.close()
        raise
    return file, length, digest.digest()


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        detail = "No space is left for the export (PROMPTLOOPER_SPOOL_DIR); try again."
        raise SpoolFullError(detail) from error


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
