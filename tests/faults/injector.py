"""A TCP proxy that passes bytes on and strikes in the middle of an answer."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from select import select
from threading import Thread
from typing import TypeAlias

from servers import HOST

Strike: TypeAlias = Callable[[socket.socket], bool]
"""What happens to the connection to the client; false where it then goes on."""

_BLOCK_BYTES = 1 << 16


def close(_: socket.socket) -> bool:
    """End the connection as if all had been said."""
    return True


def reset(client: socket.socket) -> bool:
    """Break the connection off."""
    linger = struct.pack("ii", 1, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    return True


@dataclass
class Injector:
    """While `strike` is set, it happens once `after` bytes of an export have passed.

    `passed` counts the bytes of the newest one, its head included.
    """

    port: int
    upstream: int
    after: int = 0
    strike: Strike | None = None
    passed: int = field(default=0, init=False)

    @contextmanager
    def armed(self, strike: Strike, after: int) -> Iterator[None]:
        """Strike each export for the length of the block."""
        self.strike, self.after = strike, after
        try:
            yield
        finally:
            self.strike = None

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.socket()
        # What the server has sent and nobody has read yet shall be little.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BLOCK_BYTES)
        with client, server, suppress(OSError):
            server.connect((HOST, self.upstream))
            is_export = False
            while True:
                readable, _, _ = select([client, server], [], [])
                if client in readable:
                    asked = client.recv(_BLOCK_BYTES)
                    if not asked:
                        return
                    # A proxy's own question whether the service is well is let alone.
                    if is_export := asked.startswith(b"GET /experiments/"):
                        self.passed = 0
                    server.sendall(asked)
                if server in readable:
                    answered = self._answered if is_export else _passed_on
                    if answered(server, client):
                        return

    def _answered(self, server: socket.socket, client: socket.socket) -> bool:
        """Pass on a piece of an answer; say whether that was the last."""
        piece = server.recv(_BLOCK_BYTES)
        strike, room = self.strike, self.after - self.passed
        self.passed += len(piece)
        if strike is not None and 0 <= room <= len(piece):
            client.sendall(piece[:room])
            if strike(client):
                return True
            self.strike = None
            piece = piece[room:]
        client.sendall(piece)
        return not piece


def _passed_on(server: socket.socket, client: socket.socket) -> bool:
    piece = server.recv(_BLOCK_BYTES)
    client.sendall(piece)
    return not piece


@contextmanager
def injector(upstream: int) -> Iterator[Injector]:
    """Stand before a port of this machine."""
    with socket.create_server((HOST, 0), backlog=128) as listener:
        injecting = Injector(listener.getsockname()[1], upstream)
        server = Thread(target=injecting.serve, args=(listener,))
        server.start()
        try:
            yield injecting
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
