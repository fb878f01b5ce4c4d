"""Revoked means revoked."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from promptlooper_export.auth.issuing import identify, issue
from promptlooper_export.errors import DatabaseUnavailableError
from promptlooper_export.store.state import revoke_token
from promptlooper_export.web import authentication
from promptlooper_export.web.authentication import Revocations
from webservice import Service, bearer, problem, settings_for, without_instance

ROW = experiment(run({"accuracy": 0.5}))
ASKED: dict[str, tuple[str, str, dict[str, str]]] = {
    "an export": ("GET", f"/experiments/{ROW.id}/export", {}),
    "its head": ("HEAD", f"/experiments/{ROW.id}/export", {}),
    "a classic path": ("GET", f"/api/export/experiments/{ROW.id}/best", {}),
    "the list": ("GET", "/experiments", {}),
    "a missing one": ("GET", f"/experiments/{'0' * 32}/export", {}),
    "with a tag": ("GET", f"/experiments/{ROW.id}/export", {"If-None-Match": "*"}),
    "with a bad id": ("GET", "/experiments/x/export", {}),
    "with a bad parameter": ("GET", f"/experiments/{ROW.id}/export?top_n=x", {}),
    "with a bad type": ("GET", f"/experiments/{ROW.id}/export", {"Accept": "a/b"}),
}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no set of revoked tokens be young enough."""
    monkeypatch.setattr(authentication, "MAXIMUM_AGE", 0.0)


def field(service: Service) -> dict[str, str]:
    return bearer(service.settings)


def revoke(service: Service, sent: dict[str, str]) -> None:
    token = sent["Authorization"].removeprefix("Bearer ")
    jti, expires_at = identify(token.encode())
    revoke_token(service.settings.database_url, None, jti, expires_at=expires_at)


def ask(service: Service, asked: str, sent: dict[str, str]) -> TestResponse:
    method, path, headers = ASKED[asked]
    return service.client.open(path, method=method, headers=sent | headers)


@pytest.fixture
def filled(database: Database) -> Database:
    database.load(experiment(run({"accuracy": 0.5}), id=ROW.id))
    return database


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("asked", ASKED)
def test_a_revoked_token_opens_nothing_and_learns_nothing(
    service: Service, filled: Database, asked: str
) -> None:
    sent, other = field(service), field(service)
    before = ask(service, asked, sent)
    assert before.status_code != 401
    revoke(service, sent)
    refused = ask(service, asked, sent)

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    forged = ask(service, asked, {"Authorization": "Bearer a.b.c"})
    assert without_instance(refused.data) == without_instance(forged.data)
    assert ask(service, asked, other).status_code == before.status_code
    assert filled.execute(f"SELECT count(*) FROM {filled.revoked_tokens}") == [(1,)]


def test_every_process_knows_within_a_second(
    service: Service, filled: Database
) -> None:
    services = [service, Service(settings_for(filled.url))]
    sent = field(service)
    for one in services:
        assert ask(one, "an export", sent).status_code == 200
    revoke(service, sent)
    revoked_at = time.monotonic()
    asked_at = revoked_at
    while asked_at <= revoked_at + 1:
        asked_at = time.monotonic()
        answers = [ask(one, "an export", sent).status_code for one in services]

    assert answers == [401, 401]


@pytest.mark.usefixtures("at_once")
def test_without_an_answer_of_the_database_nothing_opens(
    service: Service, filled: Database
) -> None:
    sent = field(service)
    filled.execute(f"DROP TABLE {filled.revoked_tokens}")
    for asked in ("an export", "its head", "the list", "a missing one", "with a tag"):
        answer = ask(service, asked, sent)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    # What opens nothing is refused as ever.
    assert ask(service, "with a bad id", sent).status_code == 422
    assert ask(service, "with a bad type", sent).status_code == 406


def test_only_good_tokens_cost_a_look_at_the_database(
    service_without_database: Service,
) -> None:
    service = service_without_database
    register = Register(nobody)
    register.may_end.set()
    service.app.extensions["promptlooper_export.revocations"] = Revocations(
        register.read
    )
    expired = issue(service.settings, subject="a", expires=timedelta(hours=-1))
    forged = issue(
        settings_for("sqlite:///x.db", JWT_SECRET_KEY=secrets.token_hex(32)),
        subject="a",
        expires=timedelta(hours=1),
    )
    for token in (expired, forged, "a.b.c"):
        sent = {"Authorization": f"Bearer {token}"}
        problem(ask(service, "an export", sent), 401, "unauthorized")
    assert service.client.options(ASKED["an export"][1]).status_code == 200
    assert service.client.post(ASKED["an export"][1]).status_code == 405
    assert register.reads == 0
    problem(ask(service, "with a bad type", field(service)), 406, "not-acceptable")
    problem(ask(service, "with a bad id", field(service)), 422, "invalid-parameter")
    assert register.reads == 1


def test_a_token_without_an_id_can_be_allowed_and_is_not_revoked(
    filled: Database,
) -> None:
    service = Service(settings_for(filled.url, JWT_REQUIRED_CLAIMS="exp sub"))
    assert ask(service, "an export", field(service)).status_code == 200


def test_revoked_tokens_are_forgotten_long_after_their_end(database: Database) -> None:
    revoke_token(database.url, None, "ended", expires_at=1_000_000_000)
    revoke_token(database.url, None, "ended just now", expires_at=int(time.time()) - 60)
    revoke_token(database.url, None, "endless", expires_at=None)
    revoke_token(database.url, None, "endless", expires_at=None)
    assert sorted(database.execute(f"SELECT jti FROM {database.revoked_tokens}")) == [
        ("ended just now",),
        ("endless",),
    ]


class Register:
    """Who is revoked, read when the test says so; counts how often."""

    def __init__(self, outcome: Callable[[], frozenset[str]]) -> None:
        self.outcome = outcome
        self.reads = 0
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def read(self) -> frozenset[str]:
        self.reads += 1
        self.begun.set()
        assert self.may_end.wait(60)
        return self.outcome()


def nobody() -> frozenset[str]:
    return frozenset()


def away() -> frozenset[str]:
    msg = "The database does not answer."
    raise DatabaseUnavailableError(msg)


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.mark.parametrize("outcome", [nobody, away])
def test_requests_that_come_together_share_one_look_and_its_outcome(
    crowd: ThreadPoolExecutor, outcome: Callable[[], frozenset[str]]
) -> None:
    register = Register(outcome)
    revocations = Revocations(register.read)
    here = threading.Barrier(9)

    def request() -> bool:
        here.wait(60)
        return revocations.hold("a")

    requests = [crowd.submit(request) for _ in range(8)]
    here.wait(60)
    assert register.begun.wait(60)
    register.may_end.set()
    if outcome is nobody:
        assert [one.result(60) for one in requests] == [False] * 8
        assert register.reads == 1
    else:
        assert all(
            isinstance(one.exception(60), DatabaseUnavailableError) for one in requests
        )


def test_after_a_failure_the_next_request_looks_again() -> None:
    register = Register(away)
    register.may_end.set()
    revocations = Revocations(register.read)
    with pytest.raises(DatabaseUnavailableError):
        revocations.hold("a")
    register.outcome = lambda: frozenset({"a"})
    assert revocations.hold("a")
    assert not revocations.hold("b")
    assert register.reads == 2
