"""People sign in with a cookie, which opens what their token does and no more."""

import re
from datetime import timedelta
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from pages import BROWSER, harmless
from promptlooper_export.auth.issuing import issue
from webservice import Service, bearer, problem, settings_for, without_instance

pytestmark = on_sqlite

HERE = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def service(database: Database) -> Service:
    return Service(settings_for(database.url))


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(run({"a": 1.0}))
    database.load(loaded)
    return loaded.id


def token_of(service: Service, **expires: float) -> str:
    lifetime = timedelta(**expires or {"hours": 1})
    return issue(service.settings, subject="alice", expires=lifetime)


def send_form(
    service: Service, form: dict[str, str], headers: dict[str, str] | None = None
) -> TestResponse:
    sent = BROWSER | (HERE if headers is None else headers)
    return service.client.post("/session", data=form, headers=sent)


def cookie(response: TestResponse) -> dict[str, str]:
    [field] = response.headers.getlist("Set-Cookie")
    [morsel] = SimpleCookie(field).values()
    return {name: str(value) for name, value in morsel.items() if value} | {
        "value": morsel.value
    }


def test_a_token_in_the_header_becomes_a_cookie_of_the_same_lifetime(
    service: Service, id_: UUID
) -> None:
    headers = bearer(service.settings)

    response = service.client.post("/session", headers=headers)

    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Cache-Control"] == "no-store"
    flags = cookie(response)
    assert f"Bearer {flags['value']}" == headers["Authorization"]
    assert (flags["httponly"], flags["samesite"], flags["path"]) == (
        "True",
        "Strict",
        "/",
    )
    assert "domain" not in flags
    assert "secure" not in flags
    assert "expires" in flags
    for method in ("GET", "HEAD"):
        path = f"/experiments/{id_}/export"
        assert service.client.open(path, method=method).status_code == 200


def test_over_https_the_cookie_stays_there(database: Database) -> None:
    service = Service(settings_for(database.url, TRUSTED_PROXIES="1"))
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/exports"}

    response = service.client.post(
        "/session", headers=bearer(service.settings) | forwarded
    )

    flags = cookie(response)
    assert (flags["secure"], flags["path"]) == ("True", "/exports")


@pytest.mark.parametrize(
    ("root", "name"),
    [("", "__Host-promptlooper_session"), ("/loop", "__Secure-promptlooper_session")],
)
def test_over_https_no_other_host_can_plant_the_cookie(
    service: Service, root: str, name: str
) -> None:
    base = f"https://localhost{root}"
    token = token_of(service)
    planted = service.app.test_client()
    planted.set_cookie("promptlooper_session", token, path="/")
    assert planted.get("/experiments", base_url=base).status_code == 401

    response = service.client.post(
        "/session", base_url=base, headers=bearer(service.settings)
    )

    [field] = response.headers.getlist("Set-Cookie")
    assert field.startswith(f"{name}=")
    assert "Secure" in field
    assert f"Path={root or '/'};" in f"{field};"
    fields = {"Cookie": f"{name}={token}"}
    signed_in = service.app.test_client(use_cookies=False)
    assert (
        signed_in.get("/experiments", base_url=base, headers=fields).status_code == 200
    )


def test_a_cookie_counts_for_nothing_that_changes_something(service: Service) -> None:
    service.client.post("/session", headers=bearer(service.settings))
    problem(service.client.post("/session"), 401, "unauthorized")


def test_a_header_counts_before_the_cookie(service: Service) -> None:
    service.client.post("/session", headers=bearer(service.settings))
    bad = {"Authorization": "Bearer a.b.c"}
    problem(service.client.get("/experiments", headers=bad), 401, "unauthorized")


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "expired", "; a=b", "a" * 3000])
def test_a_cookie_without_a_good_token_is_refused_like_any(
    service: Service, value: str
) -> None:
    without = service.client.get("/experiments")
    token = token_of(service, hours=-1) if value == "expired" else value
    service.client.set_cookie("promptlooper_session", token)

    refused = service.client.get("/experiments")

    problem(refused, 401, "unauthorized")
    assert without_instance(refused.data) == without_instance(without.data)


def test_a_person_signs_in_by_the_form_goes_on_and_signs_out(
    service: Service, id_: UUID
) -> None:
    wanted = f"/experiments/{id_}/export?format=html"
    asked = service.client.get(wanted, headers=BROWSER)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"] == "Bearer"
    assert "Accept" in asked.headers["Vary"]
    page = harmless(asked)
    assert page is not None
    hidden = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert hidden is not None
    assert hidden[1] == wanted

    signed_in = send_form(service, {"token": token_of(service), "next": wanted})

    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, wanted)
    assert service.client.get(wanted, headers=BROWSER).status_code == 200
    session = harmless(service.client.get("/session"))
    assert re.search(r"signed in as alice until \d+ \w+ \d{4}, ", session.text)

    signed_out = send_form(service, {"action": "sign-out"})

    assert (signed_out.status_code, signed_out.headers["Location"]) == (303, "/session")
    assert service.client.get(wanted, headers=BROWSER).status_code == 401


@pytest.mark.parametrize(
    "label",
    ["Bearer ", "bearer\t", " Authorization: Bearer ", "authorization:BEARER  "],
)
def test_what_is_copied_along_with_a_token_is_taken_off(
    service: Service, label: str
) -> None:
    response = send_form(service, {"token": f"{label}{token_of(service)}\n"})
    assert (response.status_code, response.headers["Location"]) == (303, "/experiments")


def test_enter_sends_the_form(service: Service) -> None:
    page = harmless(service.client.get("/session"))
    fields = {row.attributes["name"]: row for row in page.named("input")}
    assert not page.named("textarea")
    assert fields["token"].attributes["type"] == "password"


def test_a_cookie_of_another_application_is_no_token(service: Service) -> None:
    service.client.set_cookie("theme", "dark")
    refused = service.client.get("/experiments")
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_delete_takes_the_cookie_away(service: Service) -> None:
    service.client.post("/session", headers=bearer(service.settings))
    assert service.client.get("/experiments").status_code == 200
    assert service.client.delete("/session").status_code == 204
    assert service.client.get("/experiments").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_can_neither_sign_in_nor_out(
    service: Service, headers: dict[str, str]
) -> None:
    for form in ({"token": token_of(service)}, {"action": "sign-out"}):
        refused = send_form(service, form, headers)
        assert refused.status_code == 401
        assert "Set-Cookie" not in refused.headers


@pytest.mark.parametrize(
    "token", ["", "?", "a.b.c", "a b", "é", "a" * 9000, "\r\nX: y"]
)
def test_a_bad_token_shows_the_form_again_and_does_not_say_why(
    service: Service, token: str
) -> None:
    refused = send_form(service, {"token": token, "next": "/experiments"})

    assert refused.status_code == 401
    assert "Set-Cookie" not in refused.headers
    assert 'value="/experiments"' in refused.text
    assert "is not valid here" in refused.text
    assert not token.strip() or token not in refused.text


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "https://evil.example", "http:evil.example", "javascript:alert(1)", "data:,x",
        "/\t/evil.example", "/\n/evil.example", " /experiments", "evil", "", "/%00\x00",
        "http://[", "\x00", "/a\x7f", "//localhost/session", "/ experiments", "?a=b",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(service: Service, address: str) -> None:
    response = send_form(service, {"token": token_of(service), "next": address})
    assert (response.status_code, response.headers["Location"]) == (303, "/experiments")
    shown = service.client.get("/session", query_string={"next": address})
    assert "evil" not in shown.text
    assert "javascript" not in shown.text


def test_a_token_that_no_cookie_holds_is_refused_by_name(service: Service) -> None:
    groups = tuple(f"group-{number}" for number in range(400))
    headers = bearer(service.settings, groups=groups)
    refused = service.client.post("/session", headers=headers)
    assert problem(refused, 422, "invalid-parameter")["parameter"] == "token"


def test_a_form_is_read_up_to_a_bound(service: Service) -> None:
    response = send_form(service, {"token": "a" * 20_000})
    assert response.status_code == 413


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "application/problem+json, text/html"]
)
def test_programs_are_told_by_a_problem_document(
    service: Service, accept: str | None
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    problem(service.client.get("/experiments", headers=headers), 401, "unauthorized")


def test_a_token_in_the_address_is_not_repeated(service: Service) -> None:
    token = token_of(service)
    asked = service.client.get(f"/experiments?jwt={token}", headers=BROWSER)
    assert asked.status_code == 401
    assert token not in asked.text


def test_the_page_has_strict_parameters(service: Service) -> None:
    refused = service.client.get("/session?back=/")
    assert problem(refused, 422, "invalid-parameter")["parameter"] == "back"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic eA=="}]
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("length", [(1 << 20) + 5, None])
def test_no_body_is_read_beyond_a_bound(
    service: Service, headers: dict[str, str], kind: str, length: int | None
) -> None:
    body = BytesIO(b"next=" + b"a" * (1 << 20))
    given: dict[str, Any] = {"headers": BROWSER | HERE | headers, "content_type": kind}
    if length is None:  # chunked
        given["environ_overrides"] = {"wsgi.input_terminated": True}
    else:
        given["content_length"] = length

    response = service.client.post("/session", input_stream=body, **given)

    assert response.status_code == 413
    assert "Request too large" in harmless(response).text
    assert body.tell() <= 1 << 17
