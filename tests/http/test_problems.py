import re
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import NoReturn
from uuid import UUID

import pytest
from flask import abort
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from pages import BROWSER, Page, harmless
from promptlooper_export import errors
from promptlooper_export.auth.issuing import issue
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


def shown(response: TestResponse, status: int, document: TestResponse) -> Page:
    """Return the page that a browser gets where a program gets this document."""
    assert (response.status_code, document.status_code) == (status, status)
    assert response.headers["Vary"] == document.headers["Vary"]
    told = document.get_json()
    page = harmless(response)
    assert told["title"] in page.text
    assert told["detail"] in page.text
    assert "/experiments" in page.links
    assert told["type"] in page.links
    for name in ("Retry-After", "Allow", "Link"):
        assert response.headers.get(name) == document.headers.get(name)
    return page


def test_a_browser_gets_a_page_that_leads_on(database: Database) -> None:
    service = Service(settings_for(database.url))
    unscored = experiment()
    database.load(unscored)
    best = f"/experiments/{unscored.id}/export?format=json"
    for path, status, link in (
        ("/nothing", 404, "/experiments"),
        (PATH, 404, "/experiments"),
        (best, 404, best.replace("json", "html&links=1")),
        (f"{PATH}?format=pdf", 422, f"{PATH}?format=csv"),
        ("/experiments/x/export", 422, "/experiments"),
        ("/experiments?sort=size", 422, "/experiments"),
    ):
        page = shown(service.ask(path, headers=BROWSER), status, service.ask(path))
        assert link in page.links, path


def test_a_browser_that_takes_no_coding_gets_a_page(service: Service) -> None:
    refusing = {"Accept-Encoding": "identity;q=0, *;q=0"}
    page = shown(
        service.ask(PATH, headers=BROWSER | refusing),
        406,
        service.ask(PATH, headers=refusing),
    )
    assert "gzip" in page.text


def test_a_page_says_when_to_try_again_and_leads_there(
    service_without_database: Service,
) -> None:
    service = service_without_database
    path = f"{PATH}?top_n=3&format=html"
    page = shown(service.ask(path, headers=BROWSER), 503, service.ask(path))
    assert path in page.links


def test_a_page_repeats_no_token_that_stands_in_the_address(
    service_without_database: Service,
) -> None:
    service = service_without_database
    token = issue(service.settings, subject="a", expires=timedelta(hours=1))
    path = f"{PATH}?format=html&baseline={token}"
    page = service.ask(path, headers=BROWSER)
    assert page.status_code == 503
    assert token not in page.text
