"""A log that nobody reads, or that has no room, stops no request."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server

from promptlooper_export import logs
from promptlooper_export.store.migrate import migrate
from servers import HOST, ROOT, environment

REQUESTS = logs.WAITING + 500


@contextmanager
def service(url: str, stderr: int) -> Iterator[int]:
    """Run the service with one worker; its log goes to `stderr`."""
    with create_server((HOST, 0)) as listener:
        command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
        with subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}"],
            env=environment(url, WORKERS="1"),
            cwd=ROOT,
            stderr=stderr,
            pass_fds=[listener.fileno()],
        ) as process:
            try:
                yield listener.getsockname()[1]
            finally:
                process.terminate()


def ask(port: int, times: int) -> set[int]:
    """Return the statuses of as many answers."""
    statuses = set()
    for _ in range(times):
        connection = HTTPConnection(HOST, port, timeout=30)
        connection.request("GET", "/health/live")
        statuses.add(connection.getresponse().status)
        connection.close()
    return statuses


def test_a_log_that_nobody_reads_stops_no_request(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url, create=True)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with service(url, writer) as port:
        assert ask(port, REQUESTS) == {200}
        os.close(writer)
        # Once it is read again, it says what is missing, and goes on.
        with os.fdopen(reader, encoding="utf-8") as log:
            records = (json.loads(line) for line in log if line.startswith("{"))
            lost = next(record for record in records if "lines" in record)
            assert lost["event"] == "LogLinesDropped"
            assert 0 < lost["lines"] < REQUESTS


def test_a_log_whose_reader_has_gone_stops_no_request(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url, create=True)
    reader, writer = os.pipe()
    with service(url, writer) as port:
        assert ask(port, 1) == {200}
        os.close(reader)
        assert ask(port, 20) == {200}
    os.close(writer)
