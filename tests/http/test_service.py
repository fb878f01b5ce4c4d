import logging
from collections.abc import Callable
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.errors import SettingsError
from promptlooper_export.store.migrate import migrate
from webservice import Service, problem, settings_for

PATH = f"/experiments/{UUID(int=1)}/export"


def test_live_touches_nothing(service_without_database: Service) -> None:
    response = service_without_database.client.get("/health/live")
    assert response.status_code == 200
    assert response.get_json() == {"status": "live"}


def test_ready_asks_the_database(service: Service) -> None:
    response = service.client.get("/health/ready")
    assert response.status_code == 200
    assert response.get_json() == {"status": "ready"}


def test_a_database_that_comes_later_is_found(
    service_without_database: Service,
) -> None:
    service = service_without_database
    problem(service.client.get("/health/ready"), 503, "database-unavailable")
    migrate(service.settings.database_url, create=True)
    assert service.client.get("/health/ready").status_code == 200


def test_the_formats_are_listed_without_a_token(
    service_without_database: Service,
) -> None:
    response = service_without_database.client.get("/formats")
    rows = {row["name"]: row for row in response.get_json()["formats"]}

    assert response.content_type == "application/json"
    assert list(rows)[:4] == ["json", "env", "yaml", "toml"]
    assert rows["json"]["document"] == "best"
    assert rows["json"]["media_types"] == ["application/json"]
    assert rows["json"]["extension"] == "json"
    assert rows["markdown"]["document"] == "report"
    assert rows["yaml"]["media_types"][0] == "application/yaml"
    for row in rows.values():
        assert row["title"]


WITH_OPTIONS = """
from marshmallow import Schema, fields
from marshmallow.validate import OneOf, Range
from promptlooper_export.plugin import Best, Format, Notice

class Options(Schema):
    style = fields.String(
        validate=OneOf(["plain", "fancy"]), load_default="plain",
        metadata={"description": "How it looks."},
    )
    width = fields.Integer(validate=Range(1, 80))
    bold = fields.Boolean()
    scale = fields.Float()

def render(best, style, **others):
    yield f"{style} {sorted(others.items())}".encode()
    yield Notice(code="odd", message="d\\u00e9j\\u00e0 vu\\n\\x7f", path="a.b")

FORMAT = Format(name="stranger", title="Stranger", document=Best, options=Options,
    media_types=("Application/X-Stranger", "text/x-stranger"), extension="x.y",
    render=render)
"""


def test_the_options_of_a_format_are_described(
    service_without_database: Service, install_format: Callable[[str], None]
) -> None:
    install_format(WITH_OPTIONS)
    service = Service(service_without_database.settings)
    rows = service.client.get("/formats").get_json()["formats"]

    assert rows[-1]["name"] == "stranger"
    assert rows[-1]["options"] == [
        {
            "name": "style",
            "type": "string",
            "default": "plain",
            "description": "How it looks.",
            "allowed": ["plain", "fancy"],
        },
        {"name": "width", "type": "integer", "allowed": {"minimum": 1, "maximum": 80}},
        {"name": "bold", "type": "boolean"},
        {"name": "scale", "type": "number"},
    ]


def test_a_strangers_format_is_served_with_its_options_and_notices(
    database: Database, install_format: Callable[[str], None]
) -> None:
    install_format(WITH_OPTIONS)
    service = Service(settings_for(database.url))
    loaded = experiment(run({"accuracy": 1.0}), name="a")
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export"

    by_type = service.ask(path, headers={"Accept": "text/x-stranger"})
    assert by_type.content_type == "text/x-stranger; charset=utf-8"
    by_name = service.ask(f"{path}?format=stranger&style=fancy&width=7&bold=true")
    assert by_name.data == b"fancy [('bold', True), ('width', 7)]"
    assert by_name.content_type.lower() == "application/x-stranger"
    assert by_name.headers["Content-Disposition"] == 'inline; filename="a.x.y"'
    assert by_name.headers["X-Export-Warnings"] == (
        r'[{"code": "odd", "message": "d\u00e9j\u00e0 vu\n\u007f", "path": "a.b"}]'
    )
    for query, name, allowed in (
        ("style=loud", "style", ["plain", "fancy"]),
        ("width=81", "width", {"minimum": 1, "maximum": 80}),
    ):
        refused = service.ask(f"{path}?format=stranger&{query}")
        document = problem(refused, 422, "invalid-parameter")
        assert document["parameter"] == name
        assert document["allowed"] == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/health/live",
        "/formats",
        "/nothing",
        PATH,
        "/problems/unauthorized",
        "/health/ready",
    ],
)
def test_every_answer_has_the_headers_of_the_service(
    service: Service, path: str
) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        headers = service.client.open(path, method=method).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "private, no-cache"
        assert headers["X-Request-ID"]


@pytest.mark.parametrize("given", ["a", "01-AB_c.d", "x" * 64])
def test_a_well_formed_request_id_is_taken_over(
    service_without_database: Service, given: str
) -> None:
    response = service_without_database.client.get(
        PATH, headers={"X-Request-ID": given}
    )
    assert response.headers["X-Request-ID"] == given
    assert response.get_json()["instance"] == f"urn:request:{given}"


@pytest.mark.parametrize(
    "given", ["", " ", "x" * 65, "a b", "a,b", "<b>", "é", '"', "a/b"]
)
def test_any_other_request_id_is_replaced(
    service_without_database: Service, given: str
) -> None:
    client = service_without_database.client
    made = {
        client.get("/formats", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        for _ in range(2)
    }
    assert len(made) == 2
    assert given not in made


def test_each_request_is_logged_once_and_without_its_path(
    service_without_database: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service_without_database.ask(f"{PATH}?format=json&jwt=leaked")
    service_without_database.ask("/secret/path")
    served = [
        row.getMessage() for row in caplog.records if "RequestServed" in str(row.msg)
    ]

    assert len(served) == 2
    assert "route='/experiments/<experiment>/export'" in served[0]
    assert "status=422" in served[0]
    assert "format='json'" in served[0]
    assert "route='-'" in served[1]
    assert "leaked" not in caplog.text
    assert "secret" not in caplog.text


FORWARDED = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "export.example",
    "X-Forwarded-Prefix": "/loop",
}


@pytest.mark.parametrize(("hops", "prefix"), [("0", ""), ("1", "/loop")])
def test_forwarded_fields_count_for_the_trusted_hops_only(
    service_without_database: Service, hops: str, prefix: str
) -> None:
    url = service_without_database.settings.database_url
    service = Service(settings_for(url, TRUSTED_PROXIES=hops))
    response = service.ask(PATH, headers=FORWARDED | {"Accept": "image/png"})
    document = response.get_json()

    assert document["type"] == f"{prefix}/problems/not-acceptable"
    assert document["available"][0]["url"] == f"{prefix}{PATH}?format=json"
    assert "export.example" not in response.get_data(as_text=True)


def test_the_last_proxy_is_the_trusted_one(service_without_database: Service) -> None:
    url = service_without_database.settings.database_url
    service = Service(settings_for(url, TRUSTED_PROXIES="1"))
    headers = {"Accept": "image/png", "X-Forwarded-Prefix": "/forged, /real"}
    document = service.ask(PATH, headers=headers).get_json()
    assert document["type"] == "/real/problems/not-acceptable"


@pytest.mark.parametrize(
    "secret", ["", "short", "a" * 64, "change-me-" * 6, "secret" * 10]
)
def test_a_weak_secret_starts_nothing(
    service_without_database: Service, secret: str
) -> None:
    url = service_without_database.settings.database_url
    with pytest.raises(SettingsError, match="PROMPTLOOPER_JWT_SECRET_KEY"):
        Service(settings_for(url, JWT_SECRET_KEY=secret))
