"""Clients that leave or stall, and a service that stops or starts anew meanwhile."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from random import Random
from threading import Event

import pytest

from databases import Database
from faults.receiving import judge
from promptlooper_export.client import fetch
from served import Served, served
from servers import HOST, SHIPPED, proxy

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "1"))
# Spaces, which redaction passes over sooner than words.
LARGE = f"Be brief.{' ' * 5_000_000}"
"""More than the kernel and a spool in memory keep."""

THREADS = 8


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[Served]:
    with served(
        tmp_path,
        database=database,
        prompt=LARGE,
        WORKERS="1",
        THREADS=str(THREADS),
        MAX_CONCURRENT_EXPORTS="1024",
    ) as running:
        yield running


def begun(
    service: Served, port: int | None = None
) -> tuple[HTTPConnection, HTTPResponse]:
    """Ask for an export and take nothing but its head."""
    connection = HTTPConnection(HOST, port or service.server.port, timeout=60)
    connection.request(
        "GET", f"{service.path}?format=json", headers=dict(service.fields)
    )
    return connection, connection.getresponse()


def held(service: Served) -> Mapping[str, int]:
    """Count what the service has in hand."""
    (worker,) = service.server.workers()
    process = Path(f"/proc/{worker}")
    files = list(open_files(process))
    counts = {
        "threads": len([*(process / "task").iterdir()]),
        "files": len(files),
        # The lock of the workers is a file without a name as well, but an empty one.
        "spools": sum("/spool/" in name and size > 0 for name, size in files),
    }
    if service.database.kind == "postgresql":
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        counts["connections"] = service.database.execute(sql)[0][0]
    return counts


def open_files(process: Path) -> Iterator[tuple[str, int]]:
    for path in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            yield str(path.readlink()), path.stat().st_size


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_who_leaves_takes_everything_along(service: Served) -> None:
    choose = Random(1)  # noqa: S311  places to leave at, the same each time
    with ThreadPoolExecutor(THREADS) as pool:  # all threads have been at work
        assert all(pool.map(lambda _: whole(service), range(THREADS)))
    before = held(service)

    for _ in range(10 * ROUNDS):
        connection, response = begun(service)
        with closing(connection), closing(response):
            response.read(choose.randrange(len(LARGE)))

    def back() -> bool:
        now = held(service)
        return now["spools"] == 0 and all(
            abs(now[key] - before[key]) <= 2 for key in now
        )

    assert wait_until(back), (before, held(service))


def whole(service: Served) -> bool:
    path = f"{service.path}?format=json"
    return judge(service.server.port, path, service.fields, "1.1").complete


def test_stalled_clients_stop_nobody_behind_nginx(tmp_path: Path) -> None:
    with ExitStack() as stack:
        service = stack.enter_context(
            served(tmp_path, prompt=LARGE, WORKERS="2", THREADS=str(THREADS))
        )
        front = stack.enter_context(
            proxy("nginx", SHIPPED["nginx"], service.server.port, tmp_path / "nginx")
        )
        for _ in range(10 * ROUNDS):
            sender = socket.create_connection((HOST, front.port), 30)
            stack.enter_context(sender).sendall(b"GET / HTTP/1.1\r\nHost: good.exam")
            reader, response = begun(service, front.port)
            stack.callback(reader.close)
            stack.callback(response.close)
        export = fetch(service.url(front.port), token=service.token, format="json")
    assert LARGE.encode() in export.body


def test_a_stopped_service_finishes_what_it_has_begun(tmp_path: Path) -> None:
    with served(tmp_path, prompt=LARGE, WORKERS="2") as service:
        readers = [begun(service) for _ in range(10)]
        service.server.process.send_signal(signal.SIGTERM)
        for connection, response in readers:
            with closing(connection):
                length = int(response.headers["Content-Length"])
                assert len(response.read()) == length > len(LARGE)
        assert service.server.process.wait(30) == 0


def test_a_reload_fails_nobody(tmp_path: Path) -> None:
    with served(tmp_path, WORKERS="2") as service, ThreadPoolExecutor(4) as pool:
        assert whole(service)
        done = Event()
        asking = [pool.submit(ask_until, done, service) for _ in range(4)]
        try:
            for _ in range(2 * ROUNDS):
                reload(service)
        finally:
            done.set()
        outcomes = [outcome for future in asking for outcome in future.result()]
    assert len(outcomes) > 20
    assert all(outcomes), outcomes.count(False)


def ask_until(done: Event, service: Served) -> list[bool]:
    outcomes = []
    while not done.is_set():
        outcomes.append(whole(service))
    return outcomes


def reload(service: Served) -> None:
    """Have both workers replaced."""
    assert wait_until(lambda: len(service.server.workers()) == 2)
    old = set(service.server.workers())
    service.server.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        workers = service.server.workers()
        return len(workers) == 2 and old.isdisjoint(workers)

    assert wait_until(replaced), service.server.log
