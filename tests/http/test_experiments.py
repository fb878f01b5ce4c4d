"""The list of experiments."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Unpack
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from pages import BROWSER, harmless
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.web import experiments
from webservice import Claims, Service, problem, settings_for, without_instance


def loaded(database: Database, count: int) -> list[ExperimentRecord]:
    """Load experiments; return them newest first."""
    rows = [experiment(run({"accuracy": 1.0}), run()) for _ in range(count)]
    for row in rows:
        database.load(row)
    return rows[::-1]


def listed(
    service: Service, path: str = "/experiments", **claims: Unpack[Claims]
) -> dict[str, Any]:
    response = service.ask(path, **claims)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    document: dict[str, Any] = response.get_json()
    return document


def test_the_experiments_are_listed_newest_first(
    service: Service, database: Database
) -> None:
    newest, oldest = loaded(database, 2)
    document = listed(service)

    assert document["next"] is None
    assert [row["id"] for row in document["items"]] == [str(newest.id), str(oldest.id)]
    row = document["items"][0]
    assert newest.created_at is not None
    formats = row.pop("formats")
    assert row == {
        "id": str(newest.id),
        "name": newest.name,
        "status": "completed",
        "runs": 2,
        "created_at": newest.created_at.isoformat().replace("+00:00", "Z"),
    }
    registered = service.client.get("/formats").get_json()["formats"]
    assert list(formats) == [row["name"] for row in registered]
    assert service.ask(formats["env"]).data.startswith(b"# PromptLooper")


def test_a_database_without_experiments_gives_an_empty_list(service: Service) -> None:
    assert listed(service) == {"items": [], "next": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 100])
def test_the_pages_hold_each_experiment_once(
    service: Service, database: Database, limit: int
) -> None:
    expected = [str(row.id) for row in loaded(database, 5)]
    path, found = f"/experiments?limit={limit}", list[str]()
    while path:
        document = listed(service, path)
        assert 0 < len(document["items"]) <= limit
        found += [row["id"] for row in document["items"]]
        path = document["next"]

    assert found == expected


def test_experiments_of_one_moment_are_all_on_some_page(
    service: Service, database: Database
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [experiment(created_at=moment) for _ in range(4)]
    for row in rows:
        database.load(row)
    first = listed(service, "/experiments?limit=2")
    second = listed(service, first["next"])

    found = [row["id"] for row in first["items"] + second["items"]]
    assert found == sorted(str(row.id) for row in rows)
    assert second["next"] is None


def test_a_token_lists_only_what_it_may_see(
    service: Service, database: Database
) -> None:
    newest, oldest = loaded(database, 2)
    document = listed(service, experiments=(oldest.id,))
    assert [row["id"] for row in document["items"]] == [str(oldest.id)]
    hidden = service.ask(f"/experiments?after={newest.id}", experiments=(oldest.id,))
    missing = service.ask(f"/experiments?after={UUID(int=7)}")
    assert (
        problem(hidden, 422, "invalid-parameter")["detail"]
        == problem(missing, 422, "invalid-parameter")["detail"]
    )


def test_only_what_the_scope_covers_is_linked(
    service: Service, database: Database
) -> None:
    loaded(database, 1)
    (row,) = listed(service, scopes=("export:report",))["items"]
    assert "markdown" in row["formats"]
    assert "json" not in row["formats"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=1&limit=1", "limit"),
        ("after=x", "after"),
        ("after={00000000-0000-0000-0000-000000000001}", "after"),
        ("format=json", "format"),
        ("page=2", "page"),
    ],
)
def test_a_bad_parameter_is_refused_before_the_database_is_asked(
    service_without_database: Service, query: str, parameter: str
) -> None:
    response = service_without_database.ask(f"/experiments?{query}")
    assert problem(response, 422, "invalid-parameter")["parameter"] == parameter


def test_without_a_token_nothing_is_listed(service_without_database: Service) -> None:
    client = service_without_database.client
    problem(client.get("/experiments?page=2"), 401, "unauthorized")
    page = client.get("/experiments", headers=BROWSER)
    assert (page.status_code, "Sign in" in page.text) == (401, True)


def test_a_type_that_is_not_there_is_refused(
    service_without_database: Service,
) -> None:
    response = service_without_database.ask(
        "/experiments", headers={"Accept": "text/csv"}
    )
    document = problem(response, 406, "not-acceptable")
    assert [row["name"] for row in document["available"]] == ["json", "html"]
    assert response.headers["Vary"] == "Accept"


def test_a_browser_gets_a_page_with_a_link_to_every_export(
    database: Database, install_format: Callable[[str], None]
) -> None:
    install_format(
        "from promptlooper_export.plugin import Best, Format\n"
        'FORMAT = Format(name="stranger", title="S", document=Best, extension="x",\n'
        '    media_types=("text/x-stranger",), render=lambda best: iter((b"",)))\n'
    )
    service = Service(settings_for(database.url))
    newest, _ = loaded(database, 2)
    response = service.ask("/experiments?limit=1", headers=BROWSER)
    page = harmless(response)
    following = page.links[-1]

    assert response.headers["Vary"] == "Accept"
    for row in service.client.get("/formats").get_json()["formats"]:
        assert f"/experiments/{newest.id}/export?format={row['name']}" in page.links
    assert "format=stranger" in str(page.links)
    assert following == f"/experiments?limit=1&after={newest.id}"
    assert newest.name in page.text
    assert "completed" in page.text
    last = harmless(service.ask(following, headers=BROWSER))
    assert "Next page" not in last.text


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</bdi></h2></article></main><style>*{}</style>",
        "{{ 7 * 7 }}{% raw %}",
        "&lt;b&gt; \u202e\u2066 &#60;",
        "",
    ],
)
def test_a_hostile_name_is_only_text(database: Database, name: str) -> None:
    service = Service(settings_for(database.url))
    database.load(experiment(name=name))
    page = harmless(service.ask("/experiments", headers=BROWSER))

    assert (name or "(no name)") in page.text
    assert not page.named("img")
    assert len(page.named("style")) == 1
    assert listed(service)["items"][0]["name"] == name


def test_a_page_names_each_winner_its_score_and_the_verdict(database: Database) -> None:
    service = Service(settings_for(database.url))
    repeats = [
        run({"a": 0.9 - i / 1000}, config={"t": 1}, name="best") for i in range(5)
    ]
    others = [run({"a": 0.5 + i / 1000}, config={"t": 2}) for i in range(5)]
    database.load(experiment(*repeats, *others))
    database.load(experiment(run()))

    text = harmless(service.ask("/experiments", headers=BROWSER)).text

    assert "best 0.9000 Better 10 " in text
    assert "No scored run yet 1 " in text
    without = service.ask("/experiments", headers=BROWSER, scopes=("export:best",))
    assert "Better" not in harmless(without).text


def test_a_page_compares_no_more_runs_than_it_has_time_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "RANKED_RUNS", 2)
    service = Service(settings_for(database.url))
    database.load(experiment(run({"a": 0.7})))
    database.load(experiment(run({"a": 0.9}), run({"a": 0.8})))

    text = harmless(service.ask("/experiments", headers=BROWSER)).text

    assert "0.9000" in text
    assert "Too many runs to compare here" in text
    assert "0.7000" not in text


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Élan", "beta", "Beta 2", "alpha"]),
        ("sort=oldest", ["alpha", "Beta 2", "beta", "Élan"]),
        ("sort=name", ["alpha", "beta", "Beta 2", "Élan"]),
        ("search=BETA&sort=oldest", ["Beta 2", "beta"]),
        ("search=%C3%A9L", ["Élan"]),
        ("search=gamma", []),
        ("search=%25", []),
    ],
)
def test_experiments_are_found_by_name_and_put_in_order(
    service: Service, database: Database, accept: str, query: str, expected: list[str]
) -> None:
    for name in ("alpha", "Beta 2", "beta", "Élan"):
        database.load(experiment(name=name))
    path: str | None = f"/experiments?limit=1&{query}"
    found = list[str]()
    while path:
        if accept == "text/html":
            page = harmless(service.ask(path, headers=BROWSER))
            found += [
                name
                for name in ("alpha", "Beta 2", "beta", "Élan")
                if f" {name} " in page.text
            ]
            path = next((link for link in page.links if "after=" in link), None)
        else:
            document = listed(service, path)
            found += [row["name"] for row in document["items"]]
            path = document["next"]

    assert found == expected


def test_what_is_masked_is_not_found(service: Service, database: Database) -> None:
    database.load(
        experiment(name="key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD")
    )
    assert listed(service, "/experiments?search=key")["items"]
    assert not listed(service, "/experiments?search=sk-proj-abcdef")["items"]


def test_an_experiment_has_a_page_with_its_verdict_and_downloads(
    service: Service, database: Database
) -> None:
    (row,) = loaded(database, 1)
    found = listed(service, f"/experiments/{row.id}")
    assert found == listed(service)["items"][0]

    response = service.ask(f"/experiments/{row.id}", headers=BROWSER)

    page = harmless(response)
    assert response.headers["Vary"] == "Accept"
    assert row.name in page.text
    assert "1.0000" in page.text
    assert set(found["formats"].values()) <= set(page.links)
    best = service.ask(
        f"/experiments/{row.id}", headers=BROWSER, scopes=("export:best",)
    )
    assert "1.0000" not in harmless(best).text
    assert "format=html" not in str(harmless(best).links)


def test_a_name_leads_to_the_experiment(service: Service, database: Database) -> None:
    only, *others = (experiment(name=name) for name in ("a ü?", "twice", "twice"))
    for row in (only, *others):
        database.load(row)
    for name, location in (
        ("a%20%C3%BC%3F", f"/experiments/{only.id}"),
        ("twice", "/experiments?search=twice"),
        (only.id.hex, None),
    ):
        response = service.ask(f"/experiments/{name}")
        assert response.headers.get("Location") == location
    hidden = service.ask("/experiments/twice", experiments=(only.id,))
    missing = service.ask("/experiments/thrice")
    assert without_instance(hidden.data) == without_instance(missing.data)
    problem(missing, 404, "experiment-not-found")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_head_says_what_get_would_and_a_page_that_is_there_is_not_sent_again(
    service: Service, database: Database, accept: str
) -> None:
    loaded(database, 1)
    got = service.ask("/experiments", headers={"Accept": accept})
    head = service.ask("/experiments", method="HEAD", headers={"Accept": accept})
    again = service.ask(
        "/experiments",
        headers={"Accept": accept, "If-None-Match": got.headers["ETag"]},
    )

    assert head.data == again.data == b""
    assert head.status_code == 200
    for field in ("Content-Length", "Content-Type", "ETag", "Vary", "Repr-Digest"):
        assert head.headers[field] == got.headers[field]
    assert again.status_code == 304
    assert again.headers["Vary"] == "Accept"


def test_options_lists_the_methods(service_without_database: Service) -> None:
    response = service_without_database.client.options("/experiments")
    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("prefix", ["", "/loop"])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_the_root_leads_to_the_experiments(
    service_without_database: Service, prefix: str, accept: str
) -> None:
    response = service_without_database.client.get(
        "/", headers={"Accept": accept}, environ_overrides={"SCRIPT_NAME": prefix}
    )
    assert response.status_code == 303
    assert response.headers["Location"] == f"{prefix}/experiments"
    assert response.headers["Link"] == (
        f'<{prefix}/openapi.json>; rel="service-desc"; type="application/json", '
        f'<{prefix}/docs>; rel="service-doc"; type="text/html"'
    )
    assert response.data == b""
    assert "Content-Type" not in response.headers
