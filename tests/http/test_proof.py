"""Whatever the service answers, the answer alone shows whether it is whole."""

from hashlib import sha256
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from promptlooper_export.proof import Answer, Outcome, verify
from webservice import Service

MISSING = UUID(int=7)


def received(response: TestResponse, method: str = "GET") -> Answer:
    body = response.get_data()
    return Answer(
        status=response.status_code,
        fields=[*response.headers.items()],
        length=len(body),
        sha256=sha256(body).digest(),
        method=method,
    )


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (("GET", "/export", "*/*"), "complete"),
        (("GET", "/export?format=env", "*/*"), "complete"),
        (("GET", "/export", "text/markdown"), "complete"),
        (("HEAD", "/export", "*/*"), "bodiless"),
        (("GET", "/export", "image/png"), "refused"),
        (("HEAD", "/export", "image/png"), "bodiless"),
        (("GET", "/export?format=odt", "*/*"), "refused"),
        (("POST", "/export", "*/*"), "refused"),
        (("GET", "/elsewhere", "*/*"), "refused"),
    ],
)
def test_every_export_and_refusal_proves_itself(
    service: Service,
    database: Database,
    asked: tuple[str, str, str],
    outcome: Outcome,
) -> None:
    method, path, accept = asked
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    response = service.ask(
        f"/experiments/{loaded.id}{path}", method=method, headers={"Accept": accept}
    )
    verdict = verify(received(response, method))
    assert verdict.outcome == outcome, verdict.reason


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/formats", "complete"),
        ("/health/live", "complete"),
        ("/problems/not-found", "complete"),
        ("/health/ready", "refused"),
        ("/nowhere", "refused"),
        (f"/experiments/{MISSING}/export", "refused"),
        (f"/api/export/experiments/{MISSING}/env", "refused"),
    ],
)
def test_every_other_answer_does_so_too(
    service_without_database: Service, path: str, outcome: Outcome
) -> None:
    verdict = verify(received(service_without_database.ask(path)))
    assert verdict.outcome == outcome, verdict.reason


def test_half_a_number_cannot_pass_for_the_length(
    service_without_database: Service,
) -> None:
    names = [*service_without_database.ask("/formats", method="HEAD").headers.keys()]
    assert names.index("Content-Length") < names.index("Repr-Digest")
