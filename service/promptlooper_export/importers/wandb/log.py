"""The log that W&B writes of a run: records of protobuf in blocks, each with its sum.

Seven bytes are followed by blocks of 32 KiB, and these hold chunks: a checksum, a
length, a kind and as many bytes as the length says. A record is one chunk or several.
Of protobuf's wire format, a record is read as fields by their numbers, which are
those of `wandb_internal.proto`. Since 0.31, W&B has no reader in Python itself.
"""

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.lines import opened

MAGIC = b":W&B\xe1\xbe"
"""How each log begins; a byte with the version of the log follows."""

VERSION = 0
"""The version of the log that was tested."""

_BLOCK = 1 << 15
_START = len(MAGIC) + 1
_CHUNK = struct.Struct("<IHB")
"""Checksum, length, kind."""

LARGEST_RECORD = 64 << 20
"""The largest record that is read, in bytes."""


class _Kind(IntEnum):
    """Which part of a record a chunk is."""

    WHOLE = 1
    FIRST = 2
    MIDDLE = 3
    LAST = 4


Fields = dict[int, list[bytes | int]]
"""The values of a message by the numbers of its fields."""


def records(source: str) -> Iterator[Fields]:
    """Yield the records of a log. Raises SourceError if it is damaged or was cut."""
    part = b""
    for kind, data in _chunks(source):
        if (kind in (_Kind.WHOLE, _Kind.FIRST)) == bool(part):
            msg = f"{source}: damaged: a record is not whole"
            raise SourceError(msg)
        part += data
        if len(part) > LARGEST_RECORD:
            msg = f"{source}: a record has more than {LARGEST_RECORD} bytes"
            raise SourceError(msg)
        if kind in (_Kind.WHOLE, _Kind.LAST):
            yield fields(part, source)
            part = b""
    if part:
        msg = f"{source}: ends within a record"
        raise SourceError(msg)


def _chunks(source: str) -> Iterator[tuple[_Kind, bytes]]:
    with opened(source) as file:
        start = file.read(_START)
        if not start.startswith(MAGIC):
            msg = f"{source}: not a log of W&B"
            raise SourceError(msg)
        position = _START
        while True:
            left = _BLOCK - position % _BLOCK
            if left < _CHUNK.size:
                # Too little for a chunk is left empty at the end of a block.
                position += left
                file.seek(position)
                continue
            head = file.read(_CHUNK.size)
            # Zeros are what a file system leaves after a crash.
            if not head.strip(b"\0"):
                return
            yield _chunk(source, head, file.read(_length(head)))
            position += _CHUNK.size + _length(head)


def _length(head: bytes) -> int:
    """Return the length of the data after a chunk's head, which may be cut."""
    return int.from_bytes(head[4:6], "little")


def _chunk(source: str, head: bytes, data: bytes) -> tuple[_Kind, bytes]:
    if len(head) < _CHUNK.size or len(data) < _length(head):
        msg = f"{source}: ends within a record"
        raise SourceError(msg)
    checksum, _, kind = _CHUNK.unpack(head)
    if zlib.crc32(head[6:] + data) != checksum or kind not in set(_Kind):
        msg = f"{source}: damaged: a checksum does not fit its record"
        raise SourceError(msg)
    return _Kind(kind), data


def fields(message: bytes, place: str) -> Fields:
    """Return the fields of a message. Raises SourceError."""
    found: defaultdict[int, list[bytes | int]] = defaultdict(list)
    position = 0
    try:
        while position < len(message):
            key, position = _varint(message, position)
            value, position = _value(message, position, key & 7)
            found[key >> 3].append(value)
    except (IndexError, ValueError) as error:
        msg = f"{place}: holds a record that is not one of W&B's"
        raise SourceError(msg) from error
    return dict(found)


def _value(message: bytes, position: int, wire_type: int) -> tuple[bytes | int, int]:
    """Return a value and where it ends. Raises ValueError and IndexError."""
    if wire_type == 0:
        return _varint(message, position)
    if wire_type == 2:  # noqa: PLR2004  the numbers of protobuf's encoding
        size, position = _varint(message, position)
    else:
        size = {1: 8, 5: 4}.get(wire_type, len(message))
    end = position + size
    if end > len(message):
        raise ValueError
    return message[position:end], end


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a number, whose lowest 7 bits come first, and where it ends."""
    number = shift = 0
    while True:
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:  # noqa: PLR2004  the last byte has no highest bit
            return number, position
        shift += 7
