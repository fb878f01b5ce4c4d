"""A database that hangs, breaks off or is locked: an answer in time, and recovery."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from faulty_network import Network, network
from postgres import Cluster
from webservice import Service, problem, settings_for

pytestmark = pytest.mark.parametrize(
    "database_of_module", ["postgresql"], indirect=True
)

BUDGET = 2
"""RENDER_TIMEOUT, in seconds."""

SLACK = 6
"""Seconds for a connection that is tried, and for a slow machine."""


class Far:
    """A service that reaches its database over a network."""

    def __init__(self, database: Database, way: Network, path: str) -> None:
        self.database = database
        self.way = way
        self.path = path
        host, _, name = database.url.rpartition("/")
        url = f"{host.rpartition(':')[0]}:{way.port}/{name}"
        self.service = Service(settings_for(url, RENDER_TIMEOUT=str(BUDGET)))

    def export(self, name: str = "csv") -> TestResponse:
        return self.service.ask(f"{self.path}?format={name}")

    def ready(self) -> TestResponse:
        return self.service.client.get("/health/ready")


@pytest.fixture(scope="module")
def far(database_of_module: Database, cluster: Cluster) -> Iterator[Far]:
    runs = (run({"a": n / 100}, config={"p": "x" * 5000, "n": n}) for n in range(100))
    loaded = experiment(*runs)
    database_of_module.load(loaded)
    with network(cluster.port) as way:
        yield Far(database_of_module, way, f"/experiments/{loaded.id}/export")


def in_time(answers: list[TestResponse], begun: float) -> None:
    assert time.monotonic() - begun < BUDGET + SLACK
    for answer in answers:
        problem(answer, 503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def works(far: Far) -> bool:
    return far.export().status_code == 200 and far.ready().status_code == 200


def test_a_server_that_stops_answering_is_given_up_in_time(far: Far) -> None:
    assert works(far)
    far.way.is_open.clear()
    begun = time.monotonic()
    answers: list[TestResponse] = []
    askers = [
        threading.Thread(target=lambda: answers.append(far.export())) for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    in_time(answers, begun)
    in_time([far.ready()], time.monotonic())
    assert far.service.client.get("/health/live").status_code == 200
    far.way.is_open.set()
    assert works(far)


def test_a_server_that_accepts_and_never_answers_is_given_up_in_time(far: Far) -> None:
    far.way.break_all()
    far.way.is_open.clear()
    begun = time.monotonic()
    in_time([far.export()], begun)
    far.way.is_open.set()
    assert works(far)


@pytest.mark.parametrize("received", [0, 3_000, 100_000])
def test_a_connection_that_breaks_off_is_no_part_of_an_export(
    far: Far, received: int
) -> None:
    assert works(far)
    far.way.left = received
    refused = far.export()
    problem(refused, 503, "database-unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert works(far)


def test_a_table_that_somebody_locks_is_given_up_in_time(far: Far) -> None:
    settings = settings_for(far.database.url, RENDER_TIMEOUT="30")
    patient = Service(settings)
    with psycopg.connect(far.database.url) as connection:
        connection.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        refused = patient.ask(f"{far.path}?format=csv")
        problem(refused, 503, "database-unavailable")
        assert time.monotonic() - begun < settings.render_timeout
    assert patient.ask(f"{far.path}?format=csv").status_code == 200
