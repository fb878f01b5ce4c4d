"""A way to a server that can stop passing anything on, or break."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close at once, with a reset."""


@dataclass
class Network:
    """Passes bytes on to a port while `is_open` is set; accepts connections always."""

    target: int
    port: int = 0
    is_open: threading.Event = field(default_factory=threading.Event)
    ends: list[socket.socket] = field(default_factory=list)
    left: int | None = None

    def break_all(self) -> None:
        """Reset every connection."""
        ends, self.ends = self.ends, []
        for end in ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def serve(self, listener: socket.socket) -> None:
        """Accept until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((HOST, self.target))
                self.ends += [client, server]
                for source, sink, is_answer in (
                    (client, server, False),
                    (server, client, True),
                ):
                    threading.Thread(
                        target=self._pass_on,
                        args=(source, sink),
                        kwargs={"is_answer": is_answer},
                    ).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                self.is_open.wait()
                if is_answer and self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        self.left = None
                        self.break_all()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def network(target: int) -> Iterator[Network]:
    """Open a way to a port of this machine."""
    with socket.create_server((HOST, 0)) as listener:
        way = Network(target=target, port=listener.getsockname()[1])
        way.is_open.set()
        thread = threading.Thread(target=way.serve, args=(listener,))
        thread.start()
        try:
            yield way
        finally:
            way.is_open.set()
            listener.shutdown(socket.SHUT_RDWR)
            way.break_all()
            thread.join()
