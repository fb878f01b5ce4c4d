"""Runs page by page."""

import json
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from webservice import Service, problem


@pytest.fixture
def runs(database: Database) -> str:
    record = experiment(*(run({"a": 0.5}, name=str(number)) for number in range(5)))
    database.load(record)
    return f"/experiments/{record.id}/export?format=ndjson"


def test_the_links_lead_through_every_run_once(service: Service, runs: str) -> None:
    address: str | None = f"{runs}&limit=2&redact=on"
    names, counts, tags = [], [], set()
    while address is not None:
        response = service.ask(address)
        assert response.status_code == 200
        names += [json.loads(line)["name"] for line in response.text.splitlines()]
        counts.append(response.headers["X-Row-Count"])
        tags.add(response.headers["ETag"])
        link = response.headers.get("Link")
        if link is not None:
            assert link.endswith('>; rel="next"')
            assert "redact=on" in link
        address = link and link.removeprefix("<").partition(">")[0]
    assert names == ["0", "1", "2", "3", "4"]
    assert counts == ["2", "2", "1"]
    assert len(tags) == 3


def test_an_experiment_without_runs_has_no_rows(
    service: Service, database: Database
) -> None:
    record = experiment()
    database.load(record)

    response = service.ask(f"/experiments/{record.id}/export?format=ndjson")

    assert (response.data, response.headers["X-Row-Count"]) == (b"", "0")


def test_pages_of_a_table_have_the_columns_of_every_run(
    service: Service, database: Database
) -> None:
    first_run = run(config={"a": 1})
    record = experiment(first_run, run(config={"b": 1}))
    database.load(record)

    address = f"/experiments/{record.id}/export?format=csv&limit=1"
    first, second = service.ask(address), service.ask(f"{address}&after={first_run.id}")

    assert first.text.splitlines()[0] == second.text.splitlines()[0]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("&limit=0", "limit"),
        ("&limit=-1", "limit"),
        ("&limit=1e3", "limit"),
        ("&limit=", "limit"),
        ("&limit=1&limit=2", "limit"),
        ("&after=", "after"),
        ("&after=1", "after"),
        (f"&after={UUID(int=1)}", "after"),
    ],
)
def test_what_is_no_page_is_refused(
    service: Service, runs: str, query: str, parameter: str
) -> None:
    found = problem(service.ask(runs + query), 422, "invalid-parameter")
    assert found["parameter"] == parameter


def test_a_run_of_another_experiment_is_no_place_to_begin(
    service: Service, database: Database, runs: str
) -> None:
    other = run()
    database.load(experiment(other))
    found = problem(service.ask(f"{runs}&after={other.id}"), 422, "invalid-parameter")
    assert "begin without it" in found["detail"]


def test_formats_of_other_documents_have_no_pages(service: Service, runs: str) -> None:
    address = runs.replace("ndjson", "json")
    found = problem(service.ask(f"{address}&limit=1"), 422, "invalid-parameter")
    assert "belongs to formats of the runs document" in found["detail"]
