"""Who may do what: every actor, route, format, method and spelling of the id.

What is not listed as allowed here must be denied, and a route or format that is not
listed at all fails a test.
"""

import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from werkzeug.routing import Rule

from builders import experiment, run
from databases import Database
from promptlooper_export.auth.issuing import identify, issue
from promptlooper_export.store import state
from promptlooper_export.store.state import revoke_token
from webservice import Claims, Service, bearer, settings_for, without_instance

ID, UNGRANTED, MISSING = UUID(int=0xAB), UUID(int=0xCD), UUID(int=0xEF)
OWNER, GROUP = "ada", "lab"

EVERYTHING = ("best", "report", "runs")
BOSS = ("export:admin", "export:best")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks for ID: what the scope covers, and whether the experiment is theirs."""

    claims: Claims
    covers: tuple[str, ...]
    sees: bool


ACTORS = {
    "owner": Actor(claims={"subject": OWNER}, covers=EVERYTHING, sees=True),
    "member": Actor(
        claims={"subject": "bob", "groups": ("x", GROUP)}, covers=EVERYTHING, sees=True
    ),
    "outsider": Actor(
        claims={"subject": "eve", "groups": (OWNER, "x")}, covers=EVERYTHING, sees=False
    ),
    "admin": Actor(
        claims={"subject": "root", "scopes": BOSS}, covers=("best",), sees=True
    ),
    "admin who reads nothing": Actor(
        claims={"subject": "root", "scopes": ("export:admin",)}, covers=(), sees=True
    ),
    "narrowed to it": Actor(
        claims={"subject": OWNER, "experiments": (ID,)}, covers=EVERYTHING, sees=True
    ),
    "narrowed to another": Actor(
        claims={"subject": OWNER, "experiments": (UNGRANTED,)},
        covers=EVERYTHING,
        sees=False,
    ),
    "narrowed admin": Actor(
        claims={"subject": "root", "scopes": BOSS, "experiments": (UNGRANTED,)},
        covers=("best",),
        sees=False,
    ),
    "narrowed outsider": Actor(
        claims={"subject": "eve", "experiments": (ID,)}, covers=EVERYTHING, sees=False
    ),
    "best only": Actor(
        claims={"subject": OWNER, "scopes": ("export:best",)},
        covers=("best",),
        sees=True,
    ),
    "report only": Actor(
        claims={"subject": OWNER, "scopes": ("export:report",)},
        covers=("report",),
        sees=True,
    ),
    "runs only, outside": Actor(
        claims={"subject": "eve", "scopes": ("export:runs",)},
        covers=("runs",),
        sees=False,
    ),
    "unknown scopes": Actor(
        claims={"subject": OWNER, "scopes": ("export:*", "best")}, covers=(), sees=True
    ),
}

NOBODY = ("no token", "expired", "revoked", "forged")
"""Who is refused before anything else is looked at."""

FORMATS = {
    "json": "best", "env": "best", "yaml": "best", "toml": "best",
    "configmap": "best", "secret": "best", "tfvars": "best", "github-output": "best",
    "markdown": "report", "html": "report", "report-json": "report",
    "csv": "runs", "ndjson": "runs", "parquet": "runs", "arrow": "runs", "xlsx": "runs",
}  # fmt: skip
"""The document of every format of ours."""

CLASSIC = {"best": "json", "env": "env", "yaml": "yaml", "report": "markdown"}

EXPORTS = {
    "/experiments/<experiment>/export",
    *(f"/api/export/experiments/<experiment>/{segment}" for segment in CLASSIC),
}
LISTS = {"/experiments", "/experiments/<reference>"}
OPEN = {
    "/", "/formats", "/openapi.json", "/docs", "/schemas/<document>.json",
    "/problems/<slug>", "/health/live", "/health/ready", "/session",
}  # fmt: skip
"""Routes that need no token; /session is the way to give one."""

SPELLINGS = (str, lambda id_: id_.hex, lambda id_: str(id_).upper())


@pytest.fixture
def filled(database: Database) -> Database:
    for id_ in (ID, UNGRANTED):
        database.load(experiment(run({"accuracy": 0.5}, config={"a": 1}), id=id_))
    for grantee in (f"user:{OWNER}", f"group:{GROUP}"):
        state.grant(database.url, None, ID, grantee)
    return database


def registered(service: Service) -> dict[str, str]:
    rows = service.client.get("/formats").get_json()["formats"]
    return {row["name"]: row["document"] for row in rows}


def paths(service: Service, id_: UUID) -> dict[str, str]:
    """Return every path to an export, with the document behind it.

    Other spellings of the id are tried with one format of each document.
    """
    found = {}
    of_document: dict[str, str] = {}
    for name, document in registered(service).items():
        found[f"/experiments/{id_}/export?format={name}"] = document
        of_document.setdefault(document, name)
    for spell in SPELLINGS:
        for document, name in of_document.items():
            found[f"/experiments/{spell(id_)}/export?format={name}"] = document
        for segment, name in CLASSIC.items():
            path = f"/api/export/experiments/{spell(id_)}/{segment}"
            found[path] = FORMATS[name]
    return found


def header(service: Service, who: str) -> dict[str, str]:
    """Return the Authorization of one who is nobody to the service."""
    if who == "no token":
        return {}
    if who == "forged":
        return {"Authorization": "Bearer a.b.c"}
    hours = -1 if who == "expired" else 1
    token = issue(service.settings, subject=OWNER, expires=timedelta(hours=hours))
    if who == "revoked":
        jti, _ = identify(token.encode())
        revoke_token(service.settings.database_url, None, jti, expires_at=None)
    return {"Authorization": f"Bearer {token}"}


def rules(service: Service) -> list[Rule]:
    return list(service.app.url_map.iter_rules())


def test_every_route_and_format_is_listed(service_without_database: Service) -> None:
    service = service_without_database
    assert {rule.rule for rule in rules(service)} <= EXPORTS | LISTS | OPEN
    assert {rule.rule for rule in rules(service)} >= EXPORTS | LISTS
    found = registered(service)
    assert found.items() <= FORMATS.items()


def test_no_other_method_is_there(service_without_database: Service) -> None:
    for rule in rules(service_without_database):
        if rule.rule in EXPORTS | LISTS:
            assert rule.methods == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("who", ACTORS)
def test_everybody_gets_what_is_listed_and_nothing_else(
    service: Service, filled: Database, who: str
) -> None:
    del filled
    actor = ACTORS[who]
    sent = bearer(service.settings, **actor.claims)
    found = {}
    expected = {}
    every = paths(service, ID)
    for path, document in every.items():
        for method in ("GET", "HEAD"):
            answer = service.client.open(path, method=method, headers=sent)
            found[method, path] = answer.status_code
            expected[method, path] = (
                403 if document not in actor.covers else 200 if actor.sees else 404
            )
    for path in {path.partition("?")[0] for path in every}:
        options = service.client.options(path, headers=sent)
        assert (options.status_code, options.data) == (200, b"")
    assert found == expected


@pytest.mark.parametrize("who", ACTORS)
def test_the_list_holds_what_can_be_asked_for(
    service: Service, filled: Database, who: str
) -> None:
    del filled
    actor = ACTORS[who]
    items = service.ask("/experiments", **actor.claims).get_json()["items"]
    assert (str(ID) in {row["id"] for row in items}) == actor.sees
    one = service.ask(f"/experiments/{ID}", **actor.claims)
    assert one.status_code == (200 if actor.sees else 404)


@pytest.mark.parametrize("who", NOBODY)
def test_nobody_gets_nothing(service: Service, filled: Database, who: str) -> None:
    del filled
    sent = header(service, who)
    for path in (*paths(service, ID), *LISTS):
        for method in ("GET", "HEAD"):
            answer = service.client.open(path, method=method, headers=sent)
            assert answer.status_code == 401
            assert "ETag" not in answer.headers


ASKED = {
    "plainly": ("GET", "", {}),
    "its head": ("HEAD", "", {}),
    "in a format": ("GET", "?format=csv", {}),
    "with any tag": ("GET", "", {"If-None-Match": "*"}),
    "with a tag": ("GET", "", {"If-None-Match": '"a"'}),
    "only if it is there": ("GET", "?reproducible=1", {"If-Match": "*"}),
    "in part": ("GET", "?format=ndjson", {"Range": "bytes=0-9"}),
    "coded": ("GET", "", {"Accept-Encoding": "gzip"}),
    "with a bad type": ("GET", "", {"Accept": "image/png"}),
    "with a bad parameter": ("GET", "?top_n=x", {}),
    "by POST": ("POST", "", {}),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_hidden_and_what_is_missing_answer_alike(
    service: Service, filled: Database, asked: str
) -> None:
    del filled
    method, query, headers = ASKED[asked]
    sent = bearer(service.settings, subject="eve") | headers

    def answer(id_: UUID) -> tuple[int, dict[str, str], bytes]:
        path = f"/experiments/{id_}/export{query}"
        response = service.client.open(path, method=method, headers=sent)
        fields = {
            name: value.replace(str(id_), "ID")
            for name, value in response.headers.items()
            if name not in ("X-Request-ID", "Repr-Digest")
        }
        body = without_instance(response.data).replace(str(id_).encode(), b"ID")
        return response.status_code, fields, body

    hidden = answer(ID)
    assert hidden == answer(MISSING)
    assert hidden[0] in (404, 405, 406, 412, 422)
    assert answer(UNGRANTED)[0] in (200, 206, 304, 405, 406, 422)


@pytest.mark.parametrize("query", ["?format=json", "?format=csv"])
def test_what_is_hidden_and_what_is_missing_cost_the_same_statements(
    service: Service, filled: Database, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    del filled
    service.ask(f"/experiments/{MISSING}/export", subject="eve")  # opens connections
    costs = []
    for id_ in (ID, MISSING):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="peewee"):
            service.ask(f"/experiments/{id_}/export{query}", subject="eve")
        sent = [row.msg for row in caplog.records if row.name == "peewee"]
        # peewee logs statements with their values; the time that is left may differ
        statements = [cast("tuple[str, object]", row)[0] for row in sent]
        costs.append([re.sub(r"timeout = '?\d+", "timeout", one) for one in statements])
    assert costs[0] == costs[1]
    assert len([sql for sql in costs[0] if "AS experiment\n" in sql]) == 1


@pytest.mark.parametrize(("is_open", "status"), [("1", 200), ("0", 404)])
def test_what_was_granted_to_nobody_is_open_unless_it_is_closed(
    filled: Database, is_open: str, status: int
) -> None:
    service = Service(settings_for(filled.url, OPEN_EXPERIMENTS=is_open))
    path = f"/experiments/{UNGRANTED}/export"
    assert service.ask(path, subject="eve").status_code == status
    assert service.ask(path, scopes=BOSS).status_code == 200
