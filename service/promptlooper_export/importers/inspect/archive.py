"""Inspect's logs: a JSON document, or the parts of one in a ZIP archive (`.eval`).

Later logs compress the members of the archive by Zstandard, which `zipfile` does
not read before Python 3.14.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.files import (
    LARGEST_DOCUMENT,
    parts,
    read_document,
    read_object,
)
from promptlooper_export.importers.values import read_json

ARCHIVE = ".eval"
"""The extension of logs that are archives."""

_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""How it begins, and the lengths of the name and of what else is before the data."""

_HEADER = "header.json"
_START = "_journal/start.json"
_SUMMARIES = "summaries.json"
_EARLIER_SUMMARIES = "_journal/summaries/"
_REDUCTIONS = "reductions.json"


class Log(NamedTuple):
    """A log: all but its samples, what is known of each, and how they were reduced."""

    place: str
    header: Mapping[str, JSON]
    samples: list[dict[str, JSON]]
    reductions: list[dict[str, JSON]]


def read_log(source: str) -> Log:
    """Read a log of either kind. Raises SourceError."""
    is_archive = Path(source).suffix == ARCHIVE
    return _read_archive(source) if is_archive else _read_json(source)


def _read_json(source: str) -> Log:
    held = read_document(source)
    results = held.get("results")
    # Earlier, they were a part of the results.
    earlier = results.get("sample_reductions") if isinstance(results, dict) else None
    return Log(
        place=source,
        header=held,
        samples=_list(held.get("samples"), "samples", source),
        reductions=_list(held.get("reductions") or earlier, "reductions", source),
    )


def _read_archive(source: str) -> Log:
    kept: dict[str, bytes] = {}
    with _zip_errors(source), zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            # Reading all of them finds damage anywhere.
            data = _read(source, archive, member)
            if not member.filename.startswith("samples/"):
                kept[member.filename] = data
    # An eval that has not ended has a journal only.
    head = kept.get(_HEADER) or kept.get(_START)
    if head is None:
        msg = f"{source}: not a log of Inspect: has no {_HEADER}"
        raise SourceError(msg)
    header = read_object(head, f"{source}: {_HEADER}")
    summaries = [
        kept[name]
        for name in ([_SUMMARIES] if _SUMMARIES in kept else sorted(kept))
        if name == _SUMMARIES or name.startswith(_EARLIER_SUMMARIES)
    ]
    return Log(
        place=source,
        header=header if _HEADER in kept else {"status": "started", **header},
        samples=[
            sample
            for data in summaries
            for sample in _list(_decoded(data, source), "summaries", source)
        ],
        reductions=_list(
            _decoded(kept[_REDUCTIONS], source) if _REDUCTIONS in kept else None,
            "reductions",
            source,
        ),
    )


def _decoded(data: bytes, place: str) -> JSON:
    return read_json(data.decode("utf-8", "strict"), place)


def _list(value: JSON, name: str, place: str) -> list[dict[str, JSON]]:
    return [] if value is None else parts({name: value}, name, place)


@contextmanager
def _zip_errors(source: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        UnicodeDecodeError,
        # A compression that zipfile does not know, and an archive with a password.
        NotImplementedError,
        RuntimeError,
    ) as error:
        msg = f"{source}: damaged, or not a log of Inspect: {error}"
        raise SourceError(msg) from error


def _read(source: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's data, which fits its checksum."""
    if member.file_size > LARGEST_DOCUMENT:
        msg = f"{source}: {member.filename} has more than {LARGEST_DOCUMENT} bytes"
        raise SourceError(msg)
    if member.compress_type != _ZSTANDARD:
        return archive.read(member)
    data = _unpacked(source, member)
    if zlib.crc32(data) != member.CRC:
        msg = f"Bad CRC-32 for file {member.filename!r}"
        raise zipfile.BadZipFile(msg)
    return data


def _unpacked(source: str, member: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        msg = f"{source}: run: pip install 'promptlooper-export[zstd]'"
        raise SourceError(msg) from error
    with Path(source).open("rb") as file:
        file.seek(member.header_offset)
        start, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        if start != b"PK\x03\x04":
            msg = f"Bad magic number for file {member.filename!r}"
            raise zipfile.BadZipFile(msg)
        file.seek(name + extra, 1)
        packed = file.read(member.compress_size)
    unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_DOCUMENT)
    try:
        return unpacker.decompress(packed, max_output_size=max(member.file_size, 1))
    except zstandard.ZstdError as error:
        msg = f"{member.filename!r}: {error}"
        raise zipfile.BadZipFile(msg) from error
