"""Every warning of a document reaches the client, whatever the format."""

import json
from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from promptlooper_export.plugin import Best, Report
from promptlooper_export.registry import discover
from webservice import Service, settings_for

FORMATS = [
    name for name, chosen in discover().formats.items() if chosen.document is Best
]
REPORTS = [
    name for name, chosen in discover().formats.items() if chosen.document is Report
]
DEPLOYED = ("env", "configmap", "secret", "tfvars", "github-output")


@pytest.fixture
def answers(database: Database) -> Callable[[str], TestResponse]:
    """Export an experiment with a secret and a tie."""
    loaded = experiment(
        run({"accuracy": 1.0}, config={"model": {"api_key": "abc123def456"}}),
        run({"accuracy": 1.0}, config={"model": {"api_key": "ghi789jkl012"}}),
        name="warned",
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    return lambda name: service.ask(f"/experiments/{loaded.id}/export?format={name}")


def warnings(answer: TestResponse) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(answer.headers["X-Export-Warnings"])
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_each_warning_of_the_document_comes_once_with_its_path(
    answers: Callable[[str], TestResponse], name: str
) -> None:
    found = warnings(answers(name))
    told = [
        {key: value for key, value in one.items() if value is not None}
        for one in answers("json").get_json()["warnings"]
    ]
    assert {one["code"] for one in told} == {"redacted", "tie"}
    assert [one for one in found if one["code"] != "redacted-value"] == told


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_has_its_warnings_in_the_header_too_one_for_each_secret(
    answers: Callable[[str], TestResponse], name: str
) -> None:
    told = answers("report-json").get_json()["warnings"]
    assert warnings(answers(name)) == told
    secrets = [one["path"] for one in told if one["code"] == "redacted"]
    assert secrets == ["model.api_key"]


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_deployed_format_says_that_the_text_redacted_would_be_deployed(
    answers: Callable[[str], TestResponse], name: str
) -> None:
    found = warnings(answers(name))
    [told] = [one for one in found if one["code"] == "redacted-value"]
    assert told["path"] == "model.api_key"
    assert told["message"].startswith(
        "model.api_key is redacted: the text [redacted] would be deployed"
    )
