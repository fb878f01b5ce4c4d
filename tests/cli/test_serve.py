import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from processes import wait_until
from webservice import SECRET

LISTENING = re.compile(rb"Listening at: (http://127\.0\.0\.1:\d+)")

BOTH = re.compile(rb"Listening at: http://127\.0\.0\.1:(\d+),http://127\.0\.0\.1:(\d+)")


@contextmanager
def served(
    console: Console, **settings: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start the service on a free port; give its process and its URL."""
    with console.start("serve", BIND="127.0.0.1:0", WORKERS="1", **settings) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if found := LISTENING.search(line):
                yield running, found[1].decode()
                return
    pytest.fail("the service ended instead of listening")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exports_are_served_until_a_signal_ends_it_well(
    console: Console, database: Database, number: signal.Signals
) -> None:
    record = experiment(run({"accuracy": 0.75}), name="summaries")
    database.load(record)
    token = console.run("token", "--subject", "ada").stdout.decode().strip()
    with served(console) as (running, url):
        request = urllib.request.Request(  # noqa: S310  the URL is our own
            f"{url}/experiments/{record.id}/export?format=json",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            body = answer.read()
        running.send_signal(number)
        _, log = running.communicate(timeout=60)
    assert running.returncode == 0
    assert b'"weighted_score": 0.75' in body
    assert b"Traceback" not in log
    assert list(console.directory.iterdir()) == []


@on_sqlite
def test_new_clients_are_refused_while_a_download_goes_on(
    console: Console, database: Database
) -> None:
    record = experiment(
        run({"accuracy": 1.0}, config={"prompt": "Be brief. " * 500_000})
    )
    database.load(record)
    token = console.run("token", "--subject", "ada").stdout.decode().strip()
    with served(console) as (running, url), ExitStack() as stack:
        host, _, port = url.removeprefix("http://").partition(":")
        slow = stack.enter_context(closing(HTTPConnection(host, int(port), timeout=60)))
        path = f"/experiments/{record.id}/export?format=json"
        slow.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = stack.enter_context(slow.getresponse())
        # A browser that is connected and asks for nothing.
        stack.enter_context(socket.create_connection((host, int(port)), 30))

        running.terminate()
        wait_until(lambda: is_refused(host, int(port)))

        assert len(answer.read()) > 5_000_000
        running.communicate(timeout=60)
    assert running.returncode == 0


def is_refused(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 30).close()
    except ConnectionRefusedError:
        return True
    return False


def test_health_is_answered_on_the_admin_address_while_all_threads_are_taken(
    console: Console,
) -> None:
    started = console.start(
        "serve", BIND="127.0.0.1:0", ADMIN_BIND="127.0.0.1:0", WORKERS="1", THREADS="1"
    )
    with started as running:
        assert running.stderr is not None
        lines = (BOTH.search(line) for line in running.stderr)
        port, admin = next(map(int, found.groups()) for found in lines if found)
        with socket.create_connection(("127.0.0.1", port)) as stalled:
            stalled.sendall(b"GET / HTTP/1.1\r\nHost: ")
            for path in ("/health/live", "/health/ready"):
                url = f"http://127.0.0.1:{admin}{path}"
                with urllib.request.urlopen(url, timeout=30) as answer:
                    assert answer.status == 200
        running.terminate()
        running.communicate(timeout=60)


@on_sqlite
def test_log_lines_can_be_json(console: Console) -> None:
    with served(console, LOG_FORMAT="json") as (running, _):
        running.terminate()
        _, log = running.communicate(timeout=60)
    assert log
    assert all(line.startswith(b'{"time": "') for line in log.splitlines())


@on_sqlite
def test_without_a_secret_nothing_is_served(console: Console) -> None:
    done = console.run("serve", JWT_SECRET_KEY="")
    assert done.returncode == 78
    assert done.stderr.startswith(
        b"promptlooper-export: PROMPTLOOPER_JWT_SECRET_KEY is not set; "
    )
    assert done.stderr.count(b"\n") == 1


def test_a_runners_database_is_served_as_it_is(
    bare: Console, runner_database: Database
) -> None:
    settings = {"DATABASE_URL": runner_database.url, "JWT_SECRET_KEY": SECRET}
    with served(bare, **settings) as (running, url):
        with urllib.request.urlopen(f"{url}/health/ready", timeout=30) as answer:  # noqa: S310
            assert answer.status == 200
        running.terminate()
        running.communicate(timeout=60)


def test_a_database_without_the_tables_is_not_served(
    bare: Console, empty_database: Database
) -> None:
    done = bare.run("serve", DATABASE_URL=empty_database.url, JWT_SECRET_KEY=SECRET)
    assert done.returncode == 78
    assert b"Looked for the tables experiments, runs, scores" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_state_that_is_named_and_missing_is_not_served(console: Console) -> None:
    done = console.run("serve", STATE_URL="sqlite:///nowhere.db")
    assert done.returncode == 78
    assert b"PROMPTLOOPER_STATE_URL cannot be used: " in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not (console.directory / "nowhere.db").exists()


@on_sqlite
def test_an_address_that_is_none_is_refused(console: Console) -> None:
    done = console.run("serve", BIND="localhost:http")
    assert done.returncode == 78
    assert b"PROMPTLOOPER_BIND must look like 127.0.0.1:8000" in done.stderr


@on_sqlite
def test_options_come_before_the_settings(console: Console) -> None:
    with console.start(
        "serve", "--port", "0", "--workers", "1", BIND="127.0.0.1:1", WORKERS="3"
    ) as running:
        assert running.stderr is not None
        started = next(line for line in running.stderr if LISTENING.search(line))
        running.terminate()
        running.communicate(timeout=60)
    assert b"127.0.0.1:1 " not in started


@on_sqlite
def test_a_port_that_is_taken_is_one_line(console: Console) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = console.run("serve", "--port", str(port))
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        f"promptlooper-export: cannot listen on 127.0.0.1:{port}: "
        "Address already in use; see --port".encode()
    ]
