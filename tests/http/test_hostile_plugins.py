"""What a hostile format does to its sandbox harms its own request only."""

import os
import platform
import socket
import socketserver
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

import plugins
from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from processes import below, exists, wait_until
from servers import HOST, Server, environment, gunicorn
from webservice import Service, bearer, problem, settings_for

pytestmark = on_sqlite

FAMILY = """
import os, signal, socket, subprocess, sys, time

def parent(process):
    stat = open(f"/proc/{process}/stat").read()
    return int(stat.rpartition(")")[2].split()[1])

KEEPER = os.getppid()
SERVER = parent(KEEPER)

def tell(best):
    told = socket.create_connection(("127.0.0.1", int(best.experiment_name)))
    told.sendall(f"{os.getpid()} ".encode())
    return told

def strike(number, process):
    try:
        os.kill(process, number)
    except PermissionError:
        # The kernel forbids it: somebody outside does it, as an older kernel would let.
        port = int(os.environ["HOME"].rpartition("-")[2])
        with socket.create_connection(("127.0.0.1", port)) as accomplice:
            accomplice.sendall(f"{process} {number} ".encode())
            accomplice.recv(1)

def end(process):
    strike(signal.SIGKILL, process)
    while True:
        try:
            if parent(process) == 0 or open(f"/proc/{process}/stat").read(
                ).rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return

"""
"""What each module begins with: the processes above a rendering."""

HARM = {
    "stops_its_keeper": "strike(signal.SIGSTOP, KEEPER)",
    "stops_the_server": "strike(signal.SIGSTOP, SERVER)",
    "stops_both": "strike(signal.SIGSTOP, KEEPER); strike(signal.SIGSTOP, SERVER)",
    "kills_its_keeper": "end(KEEPER)",
    "kills_the_server": "end(SERVER)",
    "kills_both": "end(SERVER); end(KEEPER)",
    "kills_its_group": "strike(signal.SIGTERM, -os.getpgid(KEEPER))",
    "leaves_a_session": (
        "subprocess.Popen([sys.executable, '-c', SESSION, best.experiment_name], "
        "start_new_session=True)"
    ),
    "leaves_a_daemon": "daemon(best)",
    "does_not_stop_stopping": "stopper()",
}
"""What a rendering does before it burns a core for ever."""

ENDED_AT_ONCE = ("kills-its-keeper", "kills-both", "kills-its-group")

DAEMONS = """
SESSION = '''
import os, socket, sys, time
told = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
told.sendall(f"{os.getpid()} ".encode())
time.sleep(600)
'''

def daemon(best):
    # Forked twice, in a session of its own, without a descriptor, as daemons are.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.environ.clear()
            tell(best)
            time.sleep(600)
        os._exit(0)
    os.wait()

def stopper():
    if os.fork() == 0:
        os.setsid()
        while True:
            strike(signal.SIGSTOP, KEEPER)

"""

MODULES = {
    name: f"""{FAMILY}{DAEMONS}
def render(best):
    told = tell(best)
    {text}
    told.sendall(b"done ")
    while True:
        pass
    yield b""
FORMAT = declare("{name.replace("_", "-")}", render)
"""
    for name, text in HARM.items()
}
MODULES["whole"] = "FORMAT = declare('whole', lambda best: b'whole')"
MODULES["floods"] = """
import os, sys
def render(best):
    print("the first line", flush=True)
    for _ in range(200):
        os.write(1, b"x" * (1 << 20))
        os.write(2, b"y" * (1 << 20))
    yield b"flooded"
FORMAT = declare("floods", render)
"""
MODULES["says_goodbye"] = """
def render(best):
    yield b"ok"
    print("goodbye", flush=True)
FORMAT = declare("says-goodbye", render)
"""
MODULES["lashes_out"] = f"""{FAMILY}
def render(best):
    reached = []
    for process in (KEEPER, SERVER, parent(SERVER), -os.getpgid(KEEPER)):
        try:
            os.kill(process, 0)
            reached.append(process)
        except PermissionError:
            pass
    child = os.fork()
    if child == 0:
        time.sleep(600)
    os.kill(child, signal.SIGKILL)
    os.wait()
    yield str(reached).encode()
FORMAT = declare("lashes-out", render)
"""
MODULES["spies"] = f"""{FAMILY}
def render(best):
    process, seen = os.getpid(), 0
    while process > 1:
        for name in ("environ", "mem", "maps"):
            try:
                with open(f"/proc/{{process}}/{{name}}", "rb") as file:
                    seen += b"PROMPTLOOPER_JWT_SECRET_KEY" in file.read(1 << 20)
            except OSError:
                pass
        process = parent(process)
    yield str(seen).encode()
FORMAT = declare("spies", render)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    plugins.install(folder, MODULES)
    monkeypatch.syspath_prepend(folder)
    return folder


class Accomplice(socketserver.BaseRequestHandler):
    """Sends a signal that a rendering asks for."""

    def handle(self) -> None:
        process, number = map(int, self.request.recv(100).split())
        with suppress(ProcessLookupError):
            os.kill(process, number)


@pytest.fixture
def accomplice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen on a port that a rendering finds in one of the few variables it sees."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Accomplice) as server:
        monkeypatch.setenv("HOME", f"/nowhere-{server.server_address[1]}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("site", "accomplice")
@pytest.mark.parametrize("name", [name.replace("_", "-") for name in HARM])
def test_the_harm_ends_with_the_request(database: Database, name: str) -> None:
    before = below(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as told:
        loaded = experiment(run({"accuracy": 1.0}), name=str(told.getsockname()[1]))
        database.load(loaded)
        path = f"/experiments/{loaded.id}/export?format="
        service = Service(settings_for(database.url, RENDER_TIMEOUT="1"))
        assert service.ask(f"{path}whole").data == b"whole"

        harmful = service.ask(path + name)
        if name in ENDED_AT_ONCE:
            problem(harmful, 500, "format-failed")
        else:
            problem(harmful, 504, "format-timeout")
        others = [service.ask(f"{path}whole") for _ in range(3)]

        assert [other.data for other in others] == [b"whole"] * 3
        left = {int(text) for text in words(told) if text.isdecimal()}
    assert left
    wait_until(lambda: not any(map(exists, left)))
    # One server at most, and no keeper.
    wait_until(lambda: len(running(below(os.getpid()) - before)) <= 1)


def words(told: socket.socket) -> Iterator[str]:
    """Yield the words that every process has sent."""
    told.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            sender, _ = told.accept()
            with sender:
                yield from sender.recv(1000).decode().split()


def running(processes: set[int]) -> set[int]:
    """Leave out those that have ended and that nobody has waited for."""
    found = set()
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{process}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] != "Z":
                found.add(process)
    return found


@contextmanager
def served(
    database: Database, site: Path, *before: str
) -> Iterator[tuple[Server, str]]:
    """Run the service beside the formats; `before` is a command to run it with."""
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    environ = environment(database.url) | {"PYTHONPATH": str(site)}
    with gunicorn(environ, before=before) as server:
        yield server, f"/experiments/{loaded.id}/export?format="


def ask(server: Server, database: Database, path: str) -> bytes:
    with closing(HTTPConnection(HOST, server.port, timeout=60)) as connection:
        connection.request("GET", path, headers=bearer(settings_for(database.url)))
        return connection.getresponse().read()


def test_of_what_a_format_prints_the_log_has_the_beginning(
    database: Database, site: Path
) -> None:
    with served(database, site) as (server, path):
        assert ask(server, database, f"{path}floods") == b"flooded"
        assert ask(server, database, f"{path}says-goodbye") == b"ok"
        wait_until(lambda: "goodbye" in server.log)

        assert "the first line" in server.log
        assert "printed more than is shown" in server.log
        assert len(server.log) < 1 << 17


def test_a_format_cannot_read_the_environment_of_the_service(
    database: Database, site: Path
) -> None:
    # Root may read everything, so it must give up that right first.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with served(database, site, *(drop if os.geteuid() == 0 else ())) as (server, path):
        assert ask(server, database, f"{path}spies") == b"0"


@pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < (6, 12),
    reason="the kernel cannot forbid it",
)
@pytest.mark.usefixtures("site")
def test_a_format_cannot_signal_what_it_has_not_started(database: Database) -> None:
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=lashes-out")
    assert answer.data == b"[]"
