"""Workers that are killed, and requests that take longer than gunicorn's time-out."""

import json
import os
import signal
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest

from processes import wait_until
from served import Served, served
from servers import HOST

LARGE = "Be brief. " * 500_000
"""More than the kernel keeps."""


def begun(service: Served) -> HTTPConnection:
    """Ask for an export, and take nothing of the answer."""
    connection = HTTPConnection(HOST, service.server.port, timeout=60)
    fields = {**service.fields, "X-Request-ID": "the-one"}
    connection.request("GET", f"{service.path}?format=json", headers=fields)
    return connection


def test_a_worker_that_is_killed_names_the_request_it_was_answering(
    tmp_path: Path,
) -> None:
    with served(tmp_path, prompt=LARGE, WORKERS="1") as service:
        with closing(begun(service)) as connection:
            response = connection.getresponse()
            (worker,) = service.server.workers()
            os.kill(worker, signal.SIGKILL)
            with suppress(ConnectionResetError), pytest.raises(IncompleteRead):
                response.read()
        wait_until(lambda: "RequestLost" in service.server.log)
        [line] = [
            row for row in service.server.log.splitlines() if "RequestLost" in row
        ]
        lost = json.loads(line)
        assert lost["worker"] == worker
        assert lost["request_id"] == "the-one"
        assert lost["subject"] == "alice"
        assert lost["experiment"] in service.path
        assert (lost["format"], lost["status"]) == ("json", 200)
        # Its successor has nothing on its hands.
        with closing(begun(service)) as connection:
            assert LARGE.encode() in connection.getresponse().read()
        assert service.server.log.count("RequestLost") == 1


def test_a_download_of_three_time_outs_is_whole(tmp_path: Path) -> None:
    arguments = "--timeout=3"
    with (
        served(tmp_path, prompt=LARGE, WORKERS="1", arguments=arguments) as service,
        closing(begun(service)) as connection,
    ):
        response = connection.getresponse()
        workers = service.server.workers()
        over = time.monotonic() + 9
        wait_until(lambda: time.monotonic() > over)
        assert len(response.read()) == int(response.headers["Content-Length"])
        assert service.server.workers() == workers
        assert "WORKER TIMEOUT" not in service.server.log
