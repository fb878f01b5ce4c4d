"""What the log says of each request: who it was, what was sent, how it ended."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import Any

import pytest
from flask import Response

from builders import experiment, run
from databases import Database
from promptlooper_export.events import RequestLost, RequestServed, TokenRefused
from promptlooper_export.spool import CHUNK_BYTES
from servers import ROOT
from webservice import SECRET, Service, settings_for


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def served(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Return the fields of the only request that was logged."""
    [event] = [r.msg for r in caplog.records if isinstance(r.msg, RequestServed)]
    caplog.clear()
    return vars(event)


def test_a_served_export_says_who_had_what(
    service: Service, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export?format=csv"
    body = service.ask(path, subject="ada", headers={"X-Request-ID": "one"}).data
    row = served(caplog)
    assert row.pop("seconds") > 0
    assert row == {
        "request_id": "one",
        "client": "127.0.0.1",
        "subject": "ada",
        "method": "GET",
        "route": "/experiments/<experiment>/export",
        "experiment": str(loaded.id),
        "format": "csv",
        "status": 200,
        "bytes": len(body),
        "outcome": "complete",
    }
    assert service.ask(path, method="HEAD").data == b""
    row = served(caplog)
    assert (row["bytes"], row["outcome"]) == (0, "complete")


def test_a_client_who_leaves_is_logged_with_what_was_sent(
    service: Service, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = experiment(
        run({"accuracy": 1.0}, config={"prompt": "x" * 3 * CHUNK_BYTES})
    )
    database.load(loaded)
    with closing(service.ask(f"/experiments/{loaded.id}/export")) as response:
        pieces = response.iter_encoded()
        next(pieces)
        next(pieces)
        assert not caplog.records  # it is not over
    row = served(caplog)
    assert (row["status"], row["outcome"]) == (200, "aborted")
    assert row["bytes"] == CHUNK_BYTES


def test_a_body_that_cannot_be_read_to_its_end_is_logged_as_failed(
    service_without_database: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Response:
        def pieces() -> Iterator[bytes]:
            yield b"begun"
            raise OSError

        return Response(pieces(), headers={"Repr-Digest": "sha-256=:AA==:"})

    service_without_database.app.add_url_rule("/broken", view_func=broken)
    with (
        pytest.raises(OSError),  # noqa: PT011  it has no text
        closing(service_without_database.client.get("/broken")) as response,
    ):
        response.get_data()
    row = served(caplog)
    assert (row["bytes"], row["outcome"]) == (5, "failed")
    assert row["subject"] is None


def test_a_refusal_says_from_where_and_for_whom_and_a_bad_id_is_not_repeated(
    service_without_database: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service_without_database.ask("/experiments/secret/export", subject="bob")
    row = served(caplog)
    assert (row["status"], row["subject"], row["experiment"]) == (422, "bob", None)
    address = {"REMOTE_ADDR": "192.0.2.7"}
    service_without_database.client.get("/experiments", environ_base=address)
    refused = next(
        r.getMessage() for r in caplog.records if "Refused" in r.getMessage()
    )
    assert "client='192.0.2.7'" in refused
    row = served(caplog)
    assert (row["status"], row["client"], row["subject"]) == (401, "192.0.2.7", None)


def test_the_address_is_that_before_the_trusted_proxies(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(database.url, TRUSTED_PROXIES="1", JWT_SECRET_KEY=SECRET)
    forwarded = {"X-Forwarded-For": "192.0.2.1, 198.51.100.2"}
    Service(settings).ask("/experiments", headers=forwarded).get_data()
    assert served(caplog)["client"] == "198.51.100.2"


def test_every_field_is_explained() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for event in (RequestServed, RequestLost, TokenRefused):
        for field in fields(event):
            assert f"`{field.name}`" in page


def test_what_is_known_is_kept_for_the_case_that_the_process_dies(
    service: Service, database: Database
) -> None:
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    notes: list[str] = []
    response = service.client.get(
        f"/experiments/{loaded.id}/export?format=json",
        environ_base={"promptlooper_export.note": notes.append},
        headers={"X-Request-ID": "x" * 60},
    )
    assert response.status_code == 401
    assert json.loads(notes[-1]) == {
        "request_id": "x" * 60,
        "client": "127.0.0.1",
        "method": "GET",
        "route": "/experiments/<experiment>/export",
        "status": 401,
    }
