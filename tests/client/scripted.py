"""A server on a real socket that says exactly what a test tells it to."""

import socket
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Thread


@dataclass
class Script:
    """What is answered, one connection each, and what was asked."""

    port: int
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/experiments/1/export"


@contextmanager
def saying(*answers: bytes) -> Iterator[Script]:
    """Answer each connection with the next of the answers, then close it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(listener.getsockname()[1])
        speaker = Thread(target=_speak, args=(listener, answers, script.requests))
        speaker.start()
        try:
            yield script
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            speaker.join()


def _speak(
    listener: socket.socket, answers: Sequence[bytes], requests: list[str]
) -> None:
    for answer in answers:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked and (received := connection.recv(65536)):
                asked += received
            requests.append(asked.decode())
            connection.sendall(answer)


def digest(body: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def answer(
    body: bytes, *fields: str, status: str = "200 OK", whole: bytes | None = None
) -> bytes:
    """Write an answer with length and digest; `whole` is what the body is a part of."""
    proof = digest(body if whole is None else whole)
    head = (
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        f"Repr-Digest: {proof}",
        *fields,
        "Connection: close",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
