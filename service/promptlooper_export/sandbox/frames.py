"""What a process of the sandbox sends back: frames of a kind, a length and a payload.

Nothing that it sends is unpickled: that could run third-party code in the service.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import IO

HEAD = struct.Struct("!cI")
LARGEST = 1 << 20
"""Bytes of the longest payload; longer pieces of a body take several frames."""

RENDER = "render"
READ = "read"
"""What a process can be asked to do."""

PIECE = b"p"
NOTICE = b"n"
REFUSAL = b"r"
INVALID = b"i"
FAILURE = b"f"
END = b"e"


class FrameError(Exception):
    """What was received cannot be a frame."""


def write(sink: IO[bytes], kind: bytes, payload: bytes = b"") -> None:
    """Write one frame."""
    sink.write(HEAD.pack(kind, len(payload)))
    sink.write(payload)


def write_members(sink: IO[bytes], kind: bytes, members: Mapping[str, object]) -> None:
    """Write one frame with a JSON object."""
    write(sink, kind, json.dumps(members).encode())


def complete(received: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Take the complete frames out of what was received.

    Raises FrameError for a payload that is too long.
    """
    while len(received) >= HEAD.size:
        kind, length = HEAD.unpack_from(received)
        # The length is not to be trusted: it could make us wait for 4 GiB in memory.
        if length > LARGEST:
            msg = f"a frame of {length} bytes"
            raise FrameError(msg)
        end = HEAD.size + length
        if len(received) < end:
            return
        payload = bytes(received[HEAD.size : end])
        del received[:end]
        yield kind, payload
