"""Every document keeps to the JSON Schema that is served for it."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from builders import experiment, run
from databases import Database
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.schemas import ReportSchema
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR
from webservice import Service, problem, settings_for

ANSWERS = ("best", "report", "runs", "problem")
DOCUMENTS = (*ANSWERS, "interchange")
PATH = f"/experiments/{UUID(int=1)}/export"


def schema(service: Service, document: str) -> dict[str, Any]:
    response = service.client.get(f"/schemas/{document}.json")
    assert response.status_code == 200
    assert response.content_type == "application/schema+json"
    loaded: dict[str, Any] = response.get_json()
    return loaded


def validate(document: object, against: dict[str, Any]) -> None:
    Draft202012Validator(against, format_checker=FormatChecker()).validate(document)


def experiments() -> Iterator[ExperimentRecord]:
    yield experiment()
    yield experiment(run(), run({"accuracy": None}), run(status="failed", error="x"))
    yield experiment(
        run({"accuracy": 1.0, "brevity": [0.5, None]}, config={"a": [1, None, {}]}),
        run({"accuracy": 0.5}, duration_ms=1200, tokens_in=10, tokens_out=3),
        run({"accuracy": 0.25}, cost_usd=0.5, config={"a": 2**70, "b": "\u2028"}),
        weights={"accuracy": -1, "brevity": 2},
        directions={"brevity": "minimize"},
        required=["accuracy"],
        description="two\nlines",
        parameter_space={"a": [1, 2]},
    )
    yield experiment(run({"accuracy": 1.0}, text="[1]"), run({"accuracy": 0.5}))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_schema_is_served_without_a_token(
    service_without_database: Service, document: str
) -> None:
    served = schema(service_without_database, document)

    Draft202012Validator.check_schema(served)
    assert served["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert served["$id"] == f"{document}.json"
    assert served["description"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_schema_that_the_client_has_is_not_sent_again(
    service_without_database: Service, document: str
) -> None:
    client = service_without_database.client
    first = client.get(f"/schemas/{document}.json")
    again = client.get(
        f"/schemas/{document}.json", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_there_is_no_schema_of_an_unknown_document(
    service_without_database: Service,
) -> None:
    response = service_without_database.client.get("/schemas/nothing.json")
    assert problem(response, 404, "not-found")["available"] == list(DOCUMENTS)


def test_every_document_keeps_to_its_schema(database: Database) -> None:
    loaded = list(experiments())
    for record in loaded:
        database.load(record)
    service = Service(settings_for(database.url))
    best, report = schema(service, "best"), schema(service, "report")
    runs = schema(service, "runs")
    found = 0
    for record in loaded:
        response = service.ask(f"/experiments/{record.id}/export?format=json")
        if response.status_code == 200:
            found += 1
            validate(response.get_json(), best)
        else:
            validate(response.get_json(), schema(service, "problem"))
        with open_store(database.url).snapshot(OPERATOR) as snapshot:
            document = ReportSchema().dump(snapshot.report(record.id, top_n=5))
        validate(document, report)
        lines = service.ask(f"/experiments/{record.id}/export?format=ndjson").text
        for line in lines.split("\n")[:-1]:
            run_record = json.loads(line)
            validate(run_record, runs)
            assert list(run_record) == list(runs["properties"])
            found += 1
    assert found > 5


@pytest.mark.parametrize("document", ANSWERS)
def test_a_document_that_lacks_a_member_does_not_keep_to_its_schema(
    service_without_database: Service, document: str
) -> None:
    served = schema(service_without_database, document)
    assert served["required"]
    for member in served["required"]:
        with pytest.raises(ValidationError, match=f"'{member}' is a required"):
            validate({}, {**served, "required": [member]})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/nothing", {}),
        ("/experiments/x/export", {}),
        (f"{PATH}?format=none", {}),
        (f"{PATH}?top_n=0", {}),
        (PATH, {"Accept": "image/png"}),
        (PATH, {"Accept-Encoding": "identity;q=0"}),
        (PATH, {"Authorization": "Bearer x"}),
        (PATH, {}),
    ],
)
def test_every_problem_keeps_to_its_schema(
    service_without_database: Service, path: str, headers: dict[str, str]
) -> None:
    response = service_without_database.ask(path, headers=headers)
    assert response.status_code >= 400
    validate(response.get_json(), schema(service_without_database, "problem"))
