"""What an answer over HTTP costs, against the least that one can: `floor.py`.

gunicorn serves both with the same threads, and they are asked in turn over connections
that stay open. Compared is the processor's time that the servers take: the time of an
answer would include that of the client.
"""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Thread
from typing import IO
from uuid import UUID

from timing import compare

from promptlooper_export.auth.issuing import issue
from promptlooper_export.settings import load

ROUNDS = 12
REQUESTS = 50
"""Of each kind in a round."""

MANY = 10_000
"""Requests after which a worker's memory should not have grown."""

FORMATS = ("json", "env", "yaml")

HERE = Path(__file__).parent
SHARED = ("--keep-alive", "60", "--no-control-socket")
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

    def seconds(self, path: str, headers: Mapping[str, str], status: int) -> float:
        """Return the processor's seconds that an answer takes."""
        before = self._taken()
        for _ in range(REQUESTS):
            self.ask(path, headers, status)
        return (self._taken() - before) / REQUESTS

    def mebibytes(self) -> int:
        """Return the memory that its worker holds, shared memory included."""
        [worker] = self._workers()
        status = Path(f"/proc/{worker}/status").read_text()
        kibibytes = status.partition("VmRSS:")[2].split()[0]
        return int(kibibytes) // 1024

    def close(self) -> None:
        """End the server."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def _taken(self) -> float:
        """Return the seconds that the threads of its worker have run."""
        threads = [
            thread
            for pid in self._workers()
            for thread in Path(f"/proc/{pid}/task").iterdir()
        ]
        nanoseconds = (
            int((thread / "schedstat").read_text().split()[0]) for thread in threads
        )
        return sum(nanoseconds) / 1e9

    def _workers(self) -> list[str]:
        main = self._process.pid
        return Path(f"/proc/{main}/task/{main}/children").read_text().split()


def measure(url: str, experiment: UUID) -> None:
    """Print a line for each kind of answer."""
    variables = {
        "PROMPTLOOPER_DATABASE_URL": url,
        "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
        "PROMPTLOOPER_WORKERS": "1",
    }
    settings = load(variables)
    token = issue(settings, subject="bench", expires=timedelta(hours=1))
    bearer = {"Authorization": f"Bearer {token}"}
    threads = ("--threads", str(settings.threads))
    with ExitStack() as stack:
        floor = stack.enter_context(_serving([*FLOOR, *threads], variables))
        service = stack.enter_context(_serving(SERVICE, variables))
        for name in FORMATS:
            path = f"/experiments/{experiment}/export?format={name}"
            tag = service.ask(path, bearer, 200)
            for what, headers, status in (
                (name, bearer, 200),
                (f"{name} not modified", bearer | {"If-None-Match": tag}, 304),
            ):
                ours, least = _in_turn(floor, service, path, headers, status)
                compare(f"{what} over HTTP, the least", ours, least)
        for number in range(MANY):
            path = f"/experiments/{experiment}/export?format={FORMATS[number % 3]}"
            service.ask(path, bearer, 200)
        print(
            f"{f'a worker after {MANY:,} more requests':<45} {service.mebibytes()} MiB"
        )


def _in_turn(
    floor: Server, service: Server, path: str, headers: Mapping[str, str], status: int
) -> tuple[float, float]:
    """Return the median seconds of an answer of ours, and of the least there is."""
    rounds = [
        (service.seconds(path, headers, status), floor.seconds(path, headers, 200))
        for _ in range(ROUNDS)
    ]
    return median(ours for ours, _ in rounds), median(least for _, least in rounds)


@contextmanager
def _serving(
    arguments: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Server]:
    """Serve an application until the end of the block."""
    # Listening before the server has started, so that nobody needs to wait for it.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # As gunicorn does with sockets that it makes itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening = ("--bind", f"fd://{listener.fileno()}")
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *SHARED, *listening, *arguments],
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
