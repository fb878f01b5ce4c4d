"""What an export may use: slots, and space in the spool."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from pages import BROWSER, harmless
from promptlooper_export.errors import SettingsError
from promptlooper_export.web import slots
from promptlooper_export.web.app import create_app
from webservice import Service, problem, settings_for

SLOW = """
import socket
from promptlooper_export.plugin import Best, Format
def render(best: Best):
    with socket.create_connection(("127.0.0.1", {port})) as told:
        told.recv(1)
    yield b"done"
FORMAT = Format(name="slow", title="t", document=Best, render=render,
    media_types=("text/x-slow",), extension="txt")
"""
"""A format that renders until what it connects to closes the connection."""


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(run({"accuracy": 0.9}))
    database.load(loaded)
    return loaded.id


class Slow:
    """A service with a format that renders until it is told to end."""

    def __init__(self, service: Service, id_: UUID, listener: socket.socket) -> None:
        self.service = service
        self.listener = listener
        self.running: list[socket.socket] = []
        self.path = f"/experiments/{id_}/export?format="
        self.answers: list[TestResponse] = []
        self.threads: list[threading.Thread] = []

    def begin(self, subject: str) -> None:
        """Begin to render for a subject; return once it runs."""

        def ask() -> None:
            answer = self.service.ask(f"{self.path}slow", subject=subject)
            self.answers.append(answer)

        thread = threading.Thread(target=ask)
        thread.start()
        self.threads.append(thread)
        self.running.append(self.listener.accept()[0])

    def ask(self, subject: str, name: str = "json") -> TestResponse:
        return self.service.ask(self.path + name, subject=subject)

    def end(self) -> list[int]:
        for connection in self.running:
            connection.close()
        for thread in self.threads:
            thread.join()
        return [answer.status_code for answer in self.answers]


@pytest.fixture
def slow(
    database: Database,
    id_: UUID,
    install_format: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Slow]:
    monkeypatch.setattr(slots, "WAIT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        install_format(SLOW.format(port=listener.getsockname()[1]))
        service = Service(settings_for(database.url, MAX_CONCURRENT_EXPORTS="4"))
        yield Slow(service, id_, listener)


def test_a_subject_gets_half_of_the_slots_and_others_the_rest(slow: Slow) -> None:
    slow.begin("alice")
    slow.begin("alice")
    refused = slow.ask("alice")
    problem(refused, 429, "too-many-exports")
    assert int(refused.headers["Retry-After"]) > 0
    page = slow.service.ask(f"{slow.path}json", subject="alice", headers=BROWSER)
    assert page.status_code == 429
    assert f"{slow.path}json" in harmless(page).links
    assert slow.ask("bob").status_code == 200
    slow.begin("bob")
    slow.begin("carol")
    problem(slow.ask("dora"), 429, "too-many-exports")
    assert slow.end() == [200] * 4
    assert {slow.ask(name).status_code for name in ("alice", "dora")} == {200}


def test_busy_slots_leave_connections_for_everything_else(slow: Slow) -> None:
    count = 20
    more = Service(
        settings_for(
            slow.service.settings.database_url, MAX_CONCURRENT_EXPORTS=str(count)
        )
    )
    busy = Slow(more, UUID(slow.path.split("/")[2]), slow.listener)
    for number in range(count):
        busy.begin(f"subject {number}")
    problem(busy.ask("dora"), 429, "too-many-exports")
    assert more.client.get("/health/ready").status_code == 200
    assert more.ask("/experiments", subject="dora").status_code == 200
    assert busy.end() == [200] * count


def test_what_needs_no_rendering_needs_no_slot(slow: Slow) -> None:
    tag = slow.ask("alice").headers["ETag"]
    slow.begin("alice")
    slow.begin("alice")
    held = slow.service.ask(
        f"{slow.path}json", subject="alice", headers={"If-None-Match": tag}
    )
    assert held.status_code == 304
    assert slow.service.ask(f"{slow.path}pdf", subject="alice").status_code == 422
    assert slow.service.client.get("/health/ready").status_code == 200
    assert slow.end() == [200] * 2


def test_an_export_that_fails_gives_its_slot_back(slow: Slow) -> None:
    for _ in range(10):
        missing = f"/experiments/{UUID(int=9)}/export"
        problem(slow.service.ask(missing), 404, "experiment-not-found")
    assert slow.ask("alice").status_code == 200


def test_who_comes_when_a_slot_is_given_back_gets_it(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "WAIT_SECONDS", 60)
    slow.begin("alice")
    slow.begin("alice")
    waiting = threading.Thread(target=lambda: slow.answers.append(slow.ask("alice")))
    waiting.start()
    slow.threads.append(waiting)
    assert slow.end() == [200] * 3


def test_a_sent_body_holds_no_slot(database: Database, id_: UUID) -> None:
    service = Service(settings_for(database.url, MAX_CONCURRENT_EXPORTS="1"))
    unread = [service.ask(f"/experiments/{id_}/export") for _ in range(5)]
    assert {response.status_code for response in unread} == {200}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory for the spool."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def large(database: Database) -> str:
    """The path of an export that does not stay in memory."""
    loaded = experiment(run({"accuracy": 0.9}, config={"prompt": "x" * (3 << 20)}))
    database.load(loaded)
    return f"/experiments/{loaded.id}/export"


@pytest.mark.parametrize("name", ["json", "xlsx"])
def test_a_spool_that_went_away_is_a_problem_until_it_is_back(
    database: Database, large: str, folder: Path, name: str
) -> None:
    service = Service(settings_for(database.url, SPOOL_DIR=str(folder)))
    folder.rmdir()
    refused = service.ask(f"{large}?format={name}")
    problem(refused, 503, "spool-full")
    assert int(refused.headers["Retry-After"]) > 0
    problem(service.client.get("/health/ready"), 503, "spool-full")
    folder.mkdir()
    assert service.ask(f"{large}?format={name}").status_code == 200
    assert service.client.get("/health/ready").status_code == 200
    assert list(folder.iterdir()) == []


def test_bodies_that_wait_to_be_sent_are_bounded(
    database: Database, large: str
) -> None:
    service = Service(settings_for(database.url, SPOOL_TOTAL_BYTES=str(4 << 20)))
    waiting = service.ask(large)
    assert waiting.status_code == 200
    refused = service.ask(large)
    problem(refused, 503, "spool-full")
    assert int(refused.headers["Retry-After"]) > 0
    waiting.close()
    with service.ask(large) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_directory_that_takes_no_files_is_refused(
    database: Database, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^PROMPTLOOPER_SPOOL_DIR: "):
        create_app(settings_for(database.url, SPOOL_DIR=str(tmp_path / name)))


def test_a_body_in_the_spool_has_no_name(
    database: Database, large: str, folder: Path
) -> None:
    service = Service(settings_for(database.url, SPOOL_DIR=str(folder)))
    response = service.ask(large)
    open_files = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert [path for path in open_files if folder in path.parents]
    assert list(folder.iterdir()) == []
    response.close()
