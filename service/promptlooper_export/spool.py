"""Whole bodies: rendering fills a spool, and only a finished spool is ever sent."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from promptlooper_export.documents import Notice
from promptlooper_export.errors import ExportTooLargeError, FormatFailedError

IN_MEMORY = 1 << 20
"""Bytes kept in memory before a spool moves to a temporary file."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A finished body: `file` stands at its start and is the caller's to close.

    `title` is what a file made from it may be called after; it may hold any character.
    """

    title: str
    file: IO[bytes]
    length: int
    sha256: bytes
    notices: tuple[Notice, ...]


def spool(
    pieces: Iterable[bytes | Notice],
    *,
    title: str,
    limit: int,
    directory: str | None,
    name: str,
) -> Body:
    """Collect the pieces that the format `name` yields.

    `limit` is in bytes. Raises ExportTooLargeError past it and FormatFailedError where
    a piece is neither bytes nor a Notice; nothing of the spool is left then.
    """
    digest = hashlib.sha256()
    length = 0
    notices: list[Notice] = []
    file = SpooledTemporaryFile(max_size=IN_MEMORY, dir=directory)  # noqa: SIM115
    try:
        for piece in _checked(pieces, limit=limit, name=name):
            if isinstance(piece, Notice):
                notices.append(piece)
            else:
                length += len(piece)
                digest.update(piece)
                file.write(piece)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Body(
        title=title,
        file=file,
        length=length,
        sha256=digest.digest(),
        notices=tuple(notices),
    )


def _checked(
    pieces: Iterable[bytes | Notice], *, limit: int, name: str
) -> Iterator[bytes | Notice]:
    length = 0
    for piece in pieces:
        if not isinstance(piece, bytes | Notice):
            kind = type(piece).__name__
            detail = f"The format {name!r} yielded {kind} instead of bytes."
            raise FormatFailedError(detail, format=name)
        length += len(piece) if isinstance(piece, bytes) else 0
        if length > limit:
            detail = (
                f"The export is larger than {limit} bytes "
                "(PROMPTLOOPER_SPOOL_MAX_BYTES). Write it to a file: "
                f"promptlooper-export export ID -f {name} -o FILE"
            )
            raise ExportTooLargeError(detail, limit=limit)
        yield piece
