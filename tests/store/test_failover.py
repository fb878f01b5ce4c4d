"""A primary that is lost while exports run, and a standby that takes over."""

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import psycopg
import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from faulty_network import network
from postgres import Cluster
from processes import wait_until
from webservice import Service, settings_for


@dataclass
class Clients:
    """Ask for one export again and again, four at once; count what they got."""

    service: Service
    path: str
    got: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self.ask) for _ in range(4)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def ask(self) -> None:
        client = Service(self.service.settings, app=self.service.app)
        while not self.is_over.is_set():
            answer = client.ask(self.path)
            self.got[answer.status_code, content(answer)] += 1

    def wait_for(self, status: int) -> None:
        """Wait until there is one more answer with this status."""
        before = self.count(status)
        wait_until(lambda: self.count(status) > before)

    def count(self, status: int) -> int:
        return sum(n for (code, _), n in self.got.copy().items() if code == status)


def content(answer: TestResponse) -> bytes:
    """Return the body of an export; the words of a refusal do not matter."""
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        return b""
    return answer.get_data()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_when_a_standby_takes_over_every_export_is_whole_or_refused(
    database: Database, cluster: Cluster
) -> None:
    loaded = experiment(*(run({"a": n / 100}, config={"n": n}) for n in range(100)))
    database.load(loaded)
    name = database.url.rpartition("/")[2]
    with ExitStack() as stack:
        standby = stack.enter_context(cluster.standby())
        there = f"postgresql://postgres@127.0.0.1:{standby}/{name}"
        primary = stack.enter_context(ExitStack())
        way = primary.enter_context(network(cluster.port))
        hosts = f"127.0.0.1:{way.port},127.0.0.1:{standby}"
        url = f"postgresql://postgres@{hosts}/{name}?target_session_attrs=read-write"
        service = Service(settings_for(url))
        path = f"/experiments/{loaded.id}/export?format=csv"
        clients = stack.enter_context(Clients(service, path))
        clients.wait_for(200)
        primary.close()
        clients.wait_for(503)
        with psycopg.connect(there, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        clients.wait_for(200)
        assert service.client.get("/health/ready").status_code == 200
    assert {status for status, _ in clients.got} == {200, 503}
    whole = [body for status, body in clients.got if status == 200]
    assert [len(body.splitlines()) for body in whole] == [101]
