"""What an answer over HTTP costs, against the least that one can: `floor.py`.

gunicorn serves both with the same threads, and they are asked in turn over connections
that stay open. The processor's time is that of the servers alone; the time of an answer
includes the client's.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import IO
from uuid import UUID

from timing import HELD, PEAK, Cost, Measured, Row, alternate, memory

from promptlooper_export.auth.issuing import issue
from promptlooper_export.settings import load

ROUNDS = 12
REQUESTS = 50
"""Of each kind in a round."""

MANY = 10_000
"""Requests after which a worker's memory should not have grown."""

FORMATS = ("json", "env", "yaml")

HERE = Path(__file__).parent
GUNICORN = (
    sys.executable, "-m", "gunicorn", "--keep-alive", "60", "--no-control-socket",
    "--bind", "fd://{}",
)  # fmt: skip
"""The connections stay open while the other server is asked."""

FLOOR = ("--chdir", str(HERE), "--worker-class", "gthread", "--preload", "floor:app")
SERVICE = ("--chdir", str(HERE.parent), "wsgi:app")


class Server:
    """A server with one worker, and a connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._connection = HTTPConnection("127.0.0.1", port)

    def ask(self, path: str, headers: Mapping[str, str], status: int) -> str:
        """Return the tag of an answer. Raises ValueError for another status."""
        self._connection.request("GET", path, headers=headers)
        with self._connection.getresponse() as answer:
            answer.read()
            if answer.status != status:
                msg = f"{path} answered {answer.status}, not {status}"
                raise ValueError(msg)
            return answer.headers.get("ETag", "")

    def cost(
        self, path: str, headers: Mapping[str, str], status: int, *, requests: int
    ) -> Cost:
        """Return what one of several answers takes."""
        cpu, start = self._taken(), time.perf_counter()
        for _ in range(requests):
            self.ask(path, headers, status)
        return Cost(
            seconds=(time.perf_counter() - start) / requests,
            cpu_seconds=(self._taken() - cpu) / requests,
            peak_bytes=max(memory(pid, PEAK) for pid in self._processes()),
        )

    def held_bytes(self) -> int:
        """Return the memory that its worker holds."""
        _, worker = self._processes()
        return memory(worker, HELD)

    def close(self) -> None:
        """End the server."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def _taken(self) -> float:
        """Return the seconds that the threads of its processes have run."""
        threads = [
            thread
            for pid in self._processes()
            for thread in Path(f"/proc/{pid}/task").iterdir()
        ]
        nanoseconds = (
            int((thread / "schedstat").read_text().split()[0]) for thread in threads
        )
        return sum(nanoseconds) / 1e9

    def _processes(self) -> list[int]:
        main = self._process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]


def measure(url: str, experiment: UUID) -> Iterator[Row]:
    """Compare each kind of answer with the least there is."""
    with service(url) as (ours, bearer, variables), floor_of(variables) as floor:
        for name in FORMATS:
            path = f"/experiments/{experiment}/export?format={name}"
            tag = ours.ask(path, bearer, 200)
            for what, headers, status in (
                (name, bearer, 200),
                (f"{name} not modified", bearer | {"If-None-Match": tag}, 304),
            ):
                measured, least = alternate(
                    answering(ours, path, headers, status),
                    answering(floor, path, headers, 200),
                    ROUNDS,
                )
                yield Row(
                    case=f"{what} over HTTP",
                    reference="the least answer",
                    ours=measured,
                    theirs=least,
                )
        before = ours.held_bytes()
        for number in range(MANY):
            path = f"/experiments/{experiment}/export?format={FORMATS[number % 3]}"
            ours.ask(path, bearer, 200)
        yield Row(
            case=f"memory held after {MANY:,} more requests",
            reference="before them",
            ours=Cost(peak_bytes=ours.held_bytes()),
            theirs=Cost(peak_bytes=before),
        )


def answering(
    server: Server, path: str, headers: Mapping[str, str], status: int
) -> Measured:
    """Return what measures some answers."""
    return partial(server.cost, path, headers, status, requests=REQUESTS)


@contextmanager
def service(url: str) -> Iterator[tuple[Server, dict[str, str], dict[str, str]]]:
    """Serve a database; yield also the header with a token, and the settings."""
    variables = {
        "PROMPTLOOPER_DATABASE_URL": url,
        "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
        "PROMPTLOOPER_WORKERS": "1",
    }
    token = issue(load(variables), subject="bench", expires=timedelta(hours=1))
    with serving([*GUNICORN, *SERVICE], variables) as server:
        yield server, {"Authorization": f"Bearer {token}"}, variables


def floor_of(variables: Mapping[str, str]) -> AbstractContextManager[Server]:
    """Serve the least answer, with as many threads as the service."""
    threads = ("--threads", str(load(variables).threads))
    return serving([*GUNICORN, *FLOOR, *threads], variables)


@contextmanager
def serving(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Server]:
    """Serve an application until the end of the block.

    `{}` in the command stands for the file descriptor of the socket.
    """
    # Listening before the server has started, so that nobody needs to wait for it.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # As gunicorn does with sockets that it makes itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = subprocess.Popen(
            [part.replace("{}", str(listener.fileno())) for part in command],
            env=os.environ | variables,
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
        )
        # Whoever collects the log of a service reads it from a pipe.
        Thread(target=_read, args=[process.stderr], daemon=True).start()
        with closing(Server(process, listener.getsockname()[1])) as server:
            yield server


def _read(log: IO[bytes]) -> None:
    while log.read(1 << 16):
        pass
