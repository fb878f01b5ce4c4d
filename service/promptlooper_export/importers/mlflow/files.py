"""The files of a folder, or of an archive of one, in any order and one at a time."""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

DAMAGE = (
    OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    # An archive with a password, and one packed in a way that Python does not know.
    RuntimeError, NotImplementedError,
)  # fmt: skip
"""What reading a damaged archive raises."""

Open: TypeAlias = Callable[[], IO[bytes]]

_OPENERS: tuple[tuple[bytes, Callable[[str], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)


def root(source: str) -> Path:
    """Return the folder of the experiments, for the folder above it as well."""
    inner = Path(source, "mlruns")
    return inner if inner.is_dir() else Path(source)


def paths(source: str) -> Iterator[tuple[str, Open]]:
    """Yield the files of a folder or an archive, one open at a time."""
    if Path(source).is_dir():
        top = root(source)
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                yield path.relative_to(top).as_posix(), partial(_plain, path)
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield member.filename, partial(archive.open, member)
    else:
        yield from _tar(source)


def _tar(source: str) -> Iterator[tuple[str, Open]]:
    with Path(source).open("rb") as file:
        start = file.read(6)
    open_ = next((open_ for sign, open_ in _OPENERS if start.startswith(sign)), None)
    with (
        Path(source).open("rb") if open_ is None else open_(source) as file,
        tarfile.open(fileobj=file, mode="r|") as archive,
    ):
        while (member := archive.next()) is not None:
            # It would keep them all.
            archive.members.clear()  # type: ignore[attr-defined]  # its stub lacks it
            if member.isreg():
                yield member.name, partial(_member, archive, member)
        # The checksum of all comes at the end of the file.
        while file.read(1 << 20):
            pass


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    # None for what is not a regular file.
    return cast("IO[bytes]", archive.extractfile(member))
