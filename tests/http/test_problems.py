import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NoReturn
from uuid import UUID

import pytest
from flask import abort

from builders import experiment, run
from databases import Database
from pages import harmless
from promptlooper_export import errors
from promptlooper_export.errors import ProblemError, SettingsError
from promptlooper_export.web.problems import PROBLEMS
from webservice import SECRET, Service, problem, settings_for

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, ProblemError)
    and kind is not ProblemError
]
PATH = f"/experiments/{UUID(int=1)}/export"


def test_every_kind_of_problem_is_listed() -> None:
    assert list(PROBLEMS.values()) == KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_every_kind_of_problem_has_a_page(
    service_without_database: Service, kind: type[ProblemError]
) -> None:
    response = service_without_database.client.get(f"/problems/{kind.slug}")
    page = response.get_data(as_text=True)

    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert str(kind.status) in page
    for heading in ("What it means", "What to do"):
        paragraph = re.search(rf"<h2>{heading}</h2>\s*<p>(.+?)</p>", page, re.DOTALL)
        assert paragraph is not None
        assert paragraph[1].strip().endswith(".")


def test_problem_pages_run_nothing_and_load_nothing(
    service_without_database: Service,
) -> None:
    page = harmless(service_without_database.client.get("/problems/unauthorized"))
    assert "/problems/forbidden" in page.links


def test_there_is_no_page_for_an_unknown_kind(
    service_without_database: Service,
) -> None:
    response = service_without_database.client.get("/problems/<script>")
    document = problem(response, 404, "not-found")
    assert "unauthorized" in document["available"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/experiments/",
        f"{PATH}/",
        f"{PATH}.yaml",
        f"{PATH}//",
        "/experiments//export",
        f"/experiments//{UUID(int=1)}/export",
        "/api/export/experiments/x/pdf",
        "/static/x.js",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e",
        "/metrics",
    ],
)
def test_an_unknown_path_is_a_problem(
    service_without_database: Service, path: str
) -> None:
    problem(service_without_database.client.get(path), 404, "not-found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize(
    "path",
    [PATH, f"/api/export/experiments/{UUID(int=1)}/best", "/formats", "/health/live"],
)
def test_another_method_is_a_problem_that_lists_those_there_are(
    service_without_database: Service, method: str, path: str
) -> None:
    response = service_without_database.client.open(path, method=method)
    document = problem(response, 405, "method-not-allowed")

    assert document["allowed"] == ["GET", "HEAD", "OPTIONS"]
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_missing_database_is_a_problem_to_come_back_from(
    service_without_database: Service,
) -> None:
    for path in (PATH, "/health/ready"):
        response = service_without_database.ask(path)
        problem(response, 503, "database-unavailable")
        assert int(response.headers["Retry-After"]) > 0


def test_a_database_without_a_runners_tables_is_a_problem(
    empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    if empty_database.kind == "sqlite":
        empty_database.execute("PRAGMA journal_mode = WAL")
    service = Service(settings_for(empty_database.url))
    for path in (PATH, "/health/ready"):
        document = problem(service.ask(path), 503, "database-not-understood")
        assert "experiments" not in document["detail"]
    assert "Looked for the tables experiments, runs, scores" in caplog.text


FAILING = """
from promptlooper_export.plugin import Best, Format

def render(best):
    yield b"the beginning"
    raise RuntimeError("secret-of-the-stranger")

FORMAT = Format(name="stranger", title="Stranger", document=Best,
    media_types=("application/x-stranger",), extension="x", render=render)
"""


def test_a_format_that_fails_is_a_problem_of_its_own_only(
    database: Database,
    install_format: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    install_format(FAILING)
    service = Service(settings_for(database.url))
    loaded = experiment(run({"accuracy": 1.0}))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export"
    failed = service.ask(path, headers={"Accept": "application/x-stranger"})

    assert problem(failed, 500, "format-failed")["format"] == "stranger"
    assert b"secret-of-the-stranger" not in failed.data
    assert "secret-of-the-stranger" in caplog.text
    assert service.ask(path).status_code == 200


def test_a_defect_is_logged_with_its_cause_and_answered_without_it(
    service_without_database: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def defect() -> str:
        raise ZeroDivisionError(SECRET)

    service_without_database.app.add_url_rule("/defect", view_func=defect)
    response = service_without_database.client.get("/defect")

    problem(response, 500, "internal-error")
    assert SECRET not in response.get_data(as_text=True)
    assert "Traceback" not in response.get_data(as_text=True)
    record = next(row for row in caplog.records if row.exc_info)
    assert response.headers["X-Request-ID"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_refusal_of_the_command_line_is_a_defect_over_http(
    service_without_database: Service,
) -> None:
    def refuse() -> str:
        raise SettingsError(SECRET)

    service_without_database.app.add_url_rule("/refused", view_func=refuse)
    response = service_without_database.client.get("/refused")
    problem(response, 500, "internal-error")
    assert SECRET not in response.get_data(as_text=True)


@pytest.mark.parametrize("status", [400, 414, 415, 418, 429, 431])
def test_what_the_framework_refuses_is_a_problem_too(
    service_without_database: Service, status: int
) -> None:
    def refuse() -> NoReturn:
        abort(status)

    service_without_database.app.add_url_rule("/refused", view_func=refuse)
    response = service_without_database.client.get("/refused")
    document = response.get_json()

    assert response.status_code == document["status"] == status
    assert response.content_type == "application/problem+json"
    assert document["type"] == "about:blank"
    assert document["title"] == document["detail"] == HTTPStatus(status).phrase
