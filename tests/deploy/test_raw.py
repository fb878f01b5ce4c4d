"""One request in, one answer out, whatever a client sends."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.request import urlopen

import pytest

from deploy.raw_requests import CHUNKS_COUNT, REQUESTS
from served import Served, served
from servers import HOST, PROXIES, SHIPPED, proxy

CANARY = (
    b"GET /health/live HTTP/1.1\r\nHost: good.example\r\nX-Request-ID: canary\r\n"
    b"Connection: close\r\n\r\n"
)
LIVE = b'{"status":"live"}\n'


@dataclass(frozen=True)
class Said:
    """An answer; `id` is the request's, None where the service did not see it."""

    status: int
    id: str | None
    body: bytes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("raw"), WORKERS="1") as running:
        # Answers are waited for for a second, which a worker that starts may need.
        with urlopen(f"http://{HOST}:{running.server.port}/health/live") as response:
            assert response.status == HTTPStatus.OK
        yield running


@pytest.fixture(scope="module", params=["direct", *PROXIES])
def port(
    request: pytest.FixtureRequest,
    service: Served,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    with ExitStack() as stack:
        opened = service.server.port
        if request.param != "direct":
            folder = tmp_path_factory.mktemp("raw") / request.param
            front = proxy(request.param, SHIPPED[request.param], opened, folder)
            opened = stack.enter_context(front).port
        yield opened


def answers(port: int, request: bytes) -> list[Said]:
    """Send everything at once; return all answers until the connection ends.

    Who is still waited for after a second will not say any more: the other side waits
    for the rest of a body.
    """
    came = b""
    with socket.create_connection((HOST, port), 1) as connection, suppress(OSError):
        connection.sendall(request)
        while received := connection.recv(1 << 16):
            came += received
    return list(parsed(came))


def parsed(came: bytes) -> Iterator[Said]:
    while came:
        head, separator, came = came.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[0-9] ([0-9]{3})", head)
        if status is None or not separator:  # HTTP/0.9, or a cut answer
            yield Said(0, None, head + separator + came)
            return
        if status[1].startswith(b"1"):  # an interim answer
            continue
        length = re.search(rb"(?im)^content-length: *([0-9]+)", head)
        size = int(length[1]) if length else len(came)
        name = re.search(rb"(?im)^x-request-id: *(\S+)", head)
        yield Said(int(status[1]), name and name[1].decode(), came[:size])
        came = came[size:]


def written(name: str, service: Served) -> bytes:
    text = REQUESTS[name].replace("{path}", service.path)
    text = text.replace("{bearer}", f"Authorization: {service.fields['Authorization']}")
    return text.encode()


@pytest.mark.parametrize("name", REQUESTS)
def test_one_request_has_one_answer(name: str, port: int, service: Served) -> None:
    said = answers(port, written(name, service) + CANARY)

    direct = port == service.server.port
    lenient = CHUNKS_COUNT if not direct else {"chunked with a tab"}  # which is valid
    if name in lenient and said[1:] and said[1].id == "smuggled":
        assert said.pop(1).body == LIVE
    assert 1 <= len(said) <= 2
    assert said[0].status in range(200, 600)
    assert said[0].id not in {"canary", "smuggled"}
    # What the service sees is never too much for it; proxies refuse with 5xx, too.
    assert all(answer.status < 500 for answer in said if direct or answer.id)
    if len(said) == 2:
        # Behind a body that never ends, the canary cannot be made out.
        assert said[1] == Said(200, "canary", LIVE) or said[1].status == 400
    # Whoever comes next is served as if nothing had been.
    assert answers(port, CANARY) == [Said(200, "canary", LIVE)]


@pytest.mark.parametrize("name", REQUESTS)
def test_the_service_refuses_with_problem_documents(name: str, service: Served) -> None:
    for answer in answers(service.server.port, written(name, service) + CANARY):
        if answer.status >= 400:
            assert json.loads(answer.body)["status"] == answer.status
            assert answer.id


def test_what_cannot_be_read_is_not_logged(service: Served) -> None:
    asked = f"GET / HTTP/1.1\r\nAuthorization Bearer {service.token}\r\n\r\n"
    (answer,) = answers(service.server.port, asked.encode())
    assert answer.status == 400
    assert str(answer.id) in service.server.log
    assert service.token not in service.server.log
    assert service.token.encode() not in answer.body


def test_the_corpus_is_large_enough() -> None:
    assert len(REQUESTS) >= 40
