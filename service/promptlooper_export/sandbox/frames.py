"""What a rendering process sends back: frames of a kind, a length and a payload."""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import IO

HEAD = struct.Struct("!cI")
LARGEST = 1 << 20
"""Bytes of the longest payload; longer pieces of a body take several frames."""

PIECE = b"p"
NOTICE = b"n"
REFUSAL = b"r"
FAILURE = b"f"
END = b"e"


def write(sink: IO[bytes], kind: bytes, payload: bytes = b"") -> None:
    """Write one frame."""
    sink.write(HEAD.pack(kind, len(payload)))
    sink.write(payload)


def write_members(sink: IO[bytes], kind: bytes, members: Mapping[str, object]) -> None:
    """Write one frame with a JSON object."""
    write(sink, kind, json.dumps(members).encode())


def complete(received: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Take the complete frames out of what was received.

    Raises ValueError for a payload that is too long.
    """
    while len(received) >= HEAD.size:
        kind, length = HEAD.unpack_from(received)
        if length > LARGEST:
            msg = f"a frame of {length} bytes"
            raise ValueError(msg)
        end = HEAD.size + length
        if len(received) < end:
            return
        payload = bytes(received[HEAD.size : end])
        del received[:end]
        yield kind, payload
