"""A table has a bounded width, and what is wider has another format."""

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Runs
from promptlooper_export.registry import discover
from promptlooper_export.store import table
from webservice import Service, problem, settings_for

TABLES = [
    name
    for name, format_ in discover().formats.items()
    if format_.document is Runs and format_.needs_columns
]


@pytest.mark.parametrize("name", TABLES)
def test_more_columns_than_a_table_has_are_refused(
    database: Database, name: str
) -> None:
    half = table.MOST_COLUMNS // 2
    loaded = experiment(
        run({"a": 0.5}, config={f"a{place}": 1 for place in range(half)}),
        run({"b": 0.5}, config={f"b{place}": 1 for place in range(half)}),
    )
    database.load(loaded)
    service = Service(settings_for(database.url))

    refused = service.ask(f"/experiments/{loaded.id}/export?format={name}&limit=1")

    told = problem(refused, 422, "table-too-wide")
    assert told["columns"] == table.MOST_COLUMNS
    assert "10,000" in told["detail"]
    assert "format=ndjson" in told["detail"]
    path = f"/experiments/{loaded.id}/export?format=ndjson"
    assert service.ask(path).status_code == 200


def test_names_of_columns_are_bounded_in_their_length(database: Database) -> None:
    config: JSON = {f"{place}{'a' * 100_000}": 1 for place in range(11)}
    loaded = experiment(run({"a": 0.5}, config=config))
    database.load(loaded)
    service = Service(settings_for(database.url))

    refused = service.ask(f"/experiments/{loaded.id}/export?format=csv")

    told = problem(refused, 422, "table-too-wide")
    assert told["characters"] == table.LONGEST_NAMES


def test_many_runs_with_the_same_keys_are_one_table(database: Database) -> None:
    config: JSON = {f"k{place}": 1 for place in range(500)}
    loaded = experiment(*(run({"a": 0.5}, config=config) for _ in range(30)))
    database.load(loaded)
    service = Service(settings_for(database.url))

    answer = service.ask(f"/experiments/{loaded.id}/export?format=csv")

    assert answer.status_code == 200
    assert answer.text.count("\n") == 31
