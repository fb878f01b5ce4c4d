"""The link that `demo` and `open` print signs one browser in, once."""

import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from promptlooper_export.web.app import create_app
from promptlooper_export.web.invitation import Invitation, invite
from webservice import Service, bearer, settings_for

pytestmark = on_sqlite

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(run({"a": 1.0}))
    database.load(loaded)
    return loaded.id


@pytest.fixture
def invitation(database: Database, id_: UUID, tmp_path: Path) -> Invitation:
    token = bearer(settings_for(database.url))["Authorization"].partition(" ")[2]
    return invite(tmp_path, token, experiment=id_)


def served(database: Database, invitation: Invitation | None) -> Service:
    settings = settings_for(database.url)
    return Service(settings, app=create_app(settings, invitation=invitation))


def link(invitation: Invitation) -> str:
    return f"/session/{invitation.code}"


def test_the_link_leads_to_the_report_signed_in(
    database: Database, invitation: Invitation, id_: UUID
) -> None:
    client = served(database, invitation).client

    answer = client.get(link(invitation), headers=BROWSER)

    assert answer.status_code == 303
    assert (
        answer.headers["Location"] == f"/experiments/{id_}/export?format=html&links=1"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert client.get(answer.headers["Location"]).status_code == 200


def test_a_link_to_no_experiment_leads_to_the_list(
    database: Database, invitation: Invitation
) -> None:
    client = served(database, replace(invitation, experiment=None)).client

    assert client.get(link(invitation)).headers["Location"] == "/experiments"


def test_the_link_signs_in_only_once_in_all_processes(
    database: Database, invitation: Invitation
) -> None:
    first, second = (served(database, invitation).client for _ in range(2))
    assert "Set-Cookie" in first.get(link(invitation)).headers

    for client in (first, second):
        again = client.get(link(invitation))
        assert "Set-Cookie" not in again.headers
        signed_in = client.get(again.headers["Location"]).status_code == 200
        assert signed_in == (client is first)


def test_a_link_that_is_too_old_does_not_sign_in(
    database: Database, invitation: Invitation
) -> None:
    old = replace(invitation, expires_at=time.monotonic())

    answer = served(database, old).client.get(link(old))

    assert (answer.status_code, "Set-Cookie" in answer.headers) == (303, False)


@pytest.mark.parametrize("code", ["x", "é", "%00", "%ff"])
def test_a_wrong_code_does_not_sign_in_and_does_not_use_up_the_link(
    database: Database, invitation: Invitation, code: str
) -> None:
    client = served(database, invitation).client

    wrong = client.get(f"/session/{code}")

    assert (wrong.status_code, "Set-Cookie" in wrong.headers) == (404, False)
    assert "Set-Cookie" in client.get(link(invitation)).headers


def test_a_deployed_service_has_no_such_link(
    database: Database, invitation: Invitation
) -> None:
    client = served(database, None).client

    assert client.get(link(invitation)).status_code == 404


def test_the_code_is_neither_logged_nor_shown(
    database: Database, invitation: Invitation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = served(database, invitation).client
    for _ in range(2):
        client.get(link(invitation))

    assert "/session/<code>" in caplog.text
    for secret in (invitation.code, invitation.token):
        assert secret not in caplog.text
        assert secret not in repr(invitation)
        assert secret not in client.get("/docs").text


def test_two_servers_on_one_host_do_not_sign_each_other_out(
    database: Database,
) -> None:
    service = served(database, None)
    names = set()
    for port in ("8000", "8001"):
        answer = service.client.post(
            "/session",
            base_url=f"http://127.0.0.1:{port}",
            headers=bearer(service.settings),
        )
        names.add(answer.headers["Set-Cookie"].partition("=")[0])

    assert names == {"promptlooper_session_8000", "promptlooper_session_8001"}


def test_the_commands_in_the_docs_fetch_what_the_link_leads_to(
    database: Database, invitation: Invitation, id_: UUID
) -> None:
    page = served(database, invitation).client.get("/docs").text

    assert f"export EXPORT_URL=http://localhost/experiments/{id_}/export\n" in page
    assert f"cat {invitation.token_file})" in page
    assert invitation.token_file.read_text() == invitation.token
