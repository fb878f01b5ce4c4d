"""Processes for other people's formats come and go, and leave nothing behind."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID

import pytest

import plugins
from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from formats import rendering
from processes import below, exists, wait_until
from promptlooper_export.documents import Notice, Runs
from promptlooper_export.errors import FormatTimeoutError
from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.plugin import Format
from promptlooper_export.registry import discover
from promptlooper_export.runs import Columns, Run, RunBatch
from promptlooper_export.sandbox.format import ForeignFormat
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR
from webservice import SECRET, Service, bearer, problem, settings_for

ROOT = Path(__file__).parents[2]

PIECE = 1 << 20

MODULES = {
    "whole": "FORMAT = declare('whole', lambda best: b'whole')",
    "parents": """
import os
def render(best):
    # The keeper's parent: state and parent follow the name in parentheses.
    stat = open(f"/proc/{os.getppid()}/stat").read()
    yield stat.rpartition(")")[2].split()[1].encode()
FORMAT = declare("parents", render)
""",
    "environment": """
import json, os
from pathlib import Path
def render(best):
    given = Path("/proc/self/environ").read_text().split(chr(0))
    yield json.dumps([*os.environ, *(row.partition("=")[0] for row in given)]).encode()
FORMAT = declare("environment", render)
""",
    "sleeping": """
import socket, time
def render(best):
    with socket.create_connection(("127.0.0.1", int(best.experiment_name))) as told:
        told.sendall(str(os.getpid()).encode())
        time.sleep(600)
    yield b""
import os
FORMAT = declare("sleeping", render)
""",
    "rows": """
from promptlooper_export.plugin import Runs
def render(runs):
    for row in runs.rows:
        yield f"{row.name}\\n".encode()
FORMAT = declare("rows", render, document=Runs)
""",
    "columns": """
from promptlooper_export.plugin import Runs
def render(runs):
    yield f"{runs.columns.config} {[row.rank for row in runs.rows]}".encode()
FORMAT = declare("columns", render, document=Runs)
""",
    "warned": """
from promptlooper_export.plugin import Runs
def render(runs):
    yield f"{len(runs.warnings)} ".encode()
    yield f"{len(list(runs.rows))} {len(runs.warnings)}".encode()
FORMAT = declare("warned", render, document=Runs)
""",
    "best_text": """
import json
FORMAT = declare("best-text", lambda best: json.dumps(best.config).encode())
""",
    "report_text": """
import json
from promptlooper_export.plugin import Report
def render(report):
    space = report.experiment.parameter_space
    return json.dumps([report.winner.config, space]).encode()
FORMAT = declare("report-text", render, document=Report)
""",
    "runs_text": """
import json
from promptlooper_export.plugin import Runs
def render(runs):
    for row in runs.rows:
        yield json.dumps([row.config, row.tags]).encode()
FORMAT = declare("runs-text", render, document=Runs)
""",
    "hurried": """
from promptlooper_export.plugin import Runs
FORMAT = declare("hurried", lambda runs: str(runs.count).encode(), document=Runs)
""",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    plugins.install(folder, MODULES)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def service(database: Database, site: Path) -> Service:  # noqa: ARG001  its effect
    return Service(settings_for(database.url))


def load(database: Database, name: str = "any") -> str:
    loaded = experiment(run({"accuracy": 1.0}), name=name)
    database.load(loaded)
    return f"/experiments/{loaded.id}/export?format="


def descriptors() -> set[str]:
    gc.collect()
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208


@on_sqlite
def test_many_renderings_leave_no_process_and_no_descriptor(
    service: Service, database: Database
) -> None:
    path = load(database)
    before = below(os.getpid())
    server = int(service.ask(f"{path}parents").data)
    held = descriptors()
    for _ in range(200):
        assert service.ask(f"{path}whole").data == b"whole"

    wait_until(lambda: not below(server))
    assert below(os.getpid()) - before == {server}
    assert descriptors() == held


@on_sqlite
def test_without_a_strangers_export_there_is_no_process(
    service: Service, database: Database
) -> None:
    before = below(os.getpid())
    assert service.ask(f"{load(database)}json").status_code == 200
    assert below(os.getpid()) == before


@on_sqlite
def test_the_process_goes_with_the_service(
    service: Service, database: Database
) -> None:
    server = int(service.ask(f"{load(database)}parents").data)
    assert exists(server)
    del service.app, service.client
    gc.collect()
    wait_until(lambda: not exists(server))


@on_sqlite
def test_a_process_that_was_killed_is_started_again(
    service: Service, database: Database
) -> None:
    path = load(database)
    server = int(service.ask(f"{path}parents").data)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: is_dead(server))
    again = service.ask(f"{path}parents")

    assert again.status_code == 200
    assert int(again.data) != server


@on_sqlite
def test_a_process_that_was_killed_while_it_rendered_is_started_again(
    service: Service, database: Database
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as told, ThreadPoolExecutor() as pool:
        path = load(database, name=str(told.getsockname()[1]))
        server = int(service.ask(f"{path}parents").data)
        unlucky = pool.submit(service.ask, f"{path}sleeping")
        sleeping = int(told.accept()[0].recv(100))
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: is_dead(server))
        again = service.ask(f"{path}whole")
        os.kill(sleeping, signal.SIGKILL)

        assert again.data == b"whole"
        problem(unlucky.result(), 500, "format-failed")


def is_dead(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the service has reaped it
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


@on_sqlite
def test_a_rendering_sees_no_secret(
    service: Service, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PROMPTLOOPER_JWT_SECRET_KEY", "PROMPTLOOPER_DATABASE_URL", "PGPASS"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("LANG", "C.UTF-8")
    seen = service.ask(f"{load(database)}environment").get_json(force=True)

    assert "LANG" in seen
    assert [name for name in seen if name.startswith(("PROMPTLOOPER", "PG"))] == []


@on_sqlite
def test_our_own_formats_have_a_time_budget_too(database: Database) -> None:
    identifier = UUID(load(database).split("/")[2])
    limits = Limits(spool_bytes=1 << 20, seconds=-1)
    with closing(open_store(database.url)) as store, pytest.raises(FormatTimeoutError):
        export(
            store,
            OPERATOR,
            identifier,
            discover().formats["json"],
            {},
            selection=Selection(),
            limits=limits,
        )


@on_sqlite
@pytest.mark.parametrize("level", ["[]", '{"a":}'])
def test_a_strangers_format_gets_500_levels_of_nesting_and_no_more(
    service: Service, database: Database, level: str
) -> None:
    def nested(levels: int) -> str:
        return f'{{"a": {level[:-1] * levels}1{level[-1] * levels}}}'

    deep = experiment(
        run({"a": 0.9}, text=nested(499), tags=json.loads(nested(499))),
        parameter_space=json.loads(nested(499)),
    )
    too_deep = experiment(run({"a": 0.9}, text=nested(500)))
    database.load(deep, too_deep)

    config = json.loads(nested(499))
    for name in ("best-text", "report-text", "runs-text"):
        response = service.ask(f"/experiments/{deep.id}/export?format={name}")
        assert response.status_code == 200, name
        rendered = json.loads(response.data)
        assert rendered == (config if name == "best-text" else [config, config])
    for name in ("best-text", "json"):
        response = service.ask(f"/experiments/{too_deep.id}/export?format={name}")
        problem(response, 422, "invalid-config")


class Rows(Iterator[Run]):
    """So many rows, and how many of them have been read; at their end is a warning."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read = 0
        self.warnings: list[Notice] = []

    def __next__(self) -> Run:
        if self.read == self.count:
            self.warnings[:] = [Notice(code="end", message="That was all.")]
            raise StopIteration
        self.read += 1
        return replace(ROW, name=f"run {self.read}")


ROW = Run(
    run_id=rendering.RUN,
    name=None,
    status="completed",
    weighted_score=None,
    rank=None,
    config={"prompt": "x" * 1000},
    config_hash="",
    scores={},
    tokens_in=None,
    tokens_out=None,
    duration_ms=None,
    cost_usd=None,
    error=None,
    tags=None,
    stage_results=(),
    created_at=rendering.MOMENT,
    started_at=None,
    finished_at=None,
    updated_at=rendering.MOMENT,
)


def isolated(name: str, rows: Rows) -> Iterator[bytes]:
    document = Runs(
        experiment=rendering.experiment(),
        count=rows.count,
        batches=(RunBatch.of([row]) for row in rows),
        found_columns=Columns(config=(), scores=()),
        warnings=rows.warnings,
    )
    declared: Format[Runs] = __import__(name).FORMAT
    format_ = ForeignFormat(
        **vars(declared), source=f"{name}:FORMAT", sandbox=Sandbox()
    )
    for piece in format_.stream(document):
        assert isinstance(piece, bytes)
        yield piece


def test_a_strangers_table_has_every_run_and_all_columns(
    service: Service, database: Database
) -> None:
    path = load(database)

    response = service.ask(f"{path}columns")

    assert response.data == b"('temperature',) [1]"
    assert response.headers["X-Row-Count"] == "1"


@pytest.mark.usefixtures("site")
def test_rows_reach_a_rendering_while_it_renders() -> None:
    rows = Rows(20_000)
    pieces = isolated("rows", rows)

    assert next(pieces) == b"run 1\n"
    assert rows.read < rows.count
    assert sum(1 for _ in pieces) == rows.count - 1


@pytest.mark.usefixtures("site")
def test_the_warnings_are_complete_after_the_last_row() -> None:
    assert list(isolated("warned", Rows(250))) == [b"0 ", b"250 1"]


@pytest.mark.usefixtures("site")
def test_a_rendering_need_not_read_all_rows() -> None:
    rows = Rows(20_000)
    assert list(isolated("hurried", rows)) == [b"20000"]
    assert rows.read < rows.count


@contextmanager
def gunicorn(
    database: Database, site: Path, *, seconds: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve with two workers; give the process and its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(site),
            "PROMPTLOOPER_DATABASE_URL": database.url,
            "PROMPTLOOPER_JWT_SECRET_KEY": SECRET,
            "PROMPTLOOPER_WORKERS": "2",
            "PROMPTLOOPER_RENDER_TIMEOUT": seconds,
        }
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                f"--bind=fd://{listener.fileno()}",
                "wsgi:app",
            ],
            cwd=ROOT,
            env=environ,
            pass_fds=[listener.fileno()],
        )
        try:
            yield process, listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(timeout=60)


def ask(database: Database, port: int, path: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=bearer(settings_for(database.url)))
        response = connection.getresponse()
        return response.status, response.read()


@contextmanager
def unanswered(database: Database, port: int, path: str) -> Iterator[None]:
    """Send a request and do not wait for its answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=bearer(settings_for(database.url)))
        yield


@on_sqlite
def test_no_process_outlives_a_server_that_was_told_to_end(
    database: Database, site: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as told,
        gunicorn(database, site, seconds="1") as (process, port),
    ):
        path = load(database, name=str(told.getsockname()[1]))
        servers: set[int] = set()
        while len(servers) < 2:  # until each worker has rendered
            status, body = ask(database, port, f"{path}parents")
            assert status == 200
            servers.add(int(body))
        with unanswered(database, port, f"{path}sleeping"):
            sleeping = int(told.accept()[0].recv(100))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        wait_until(lambda: not any(map(exists, (*servers, sleeping))))


@on_sqlite
def test_no_process_outlives_a_worker_that_was_killed(
    database: Database, site: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as told,
        gunicorn(database, site, seconds="600") as (process, port),
    ):
        path = load(database, name=str(told.getsockname()[1]))
        with unanswered(database, port, f"{path}sleeping"):
            sleeping = int(told.accept()[0].recv(100))
            families = {row: below(row) for row in below(process.pid)}
            (keeper,) = (row for row in families if families[row] == {sleeping})
            (server,) = (row for row in families if families[row] == {keeper, sleeping})
            (worker,) = (row for row in families if server in families[row])
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: not exists(sleeping) and not exists(server))
