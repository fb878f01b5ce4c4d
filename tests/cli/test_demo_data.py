"""What the demo's experiments show."""

import re

import pytest

from cli.console import on_sqlite
from databases import Database
from pages import BROWSER, harmless
from promptlooper_export.cli.demo_data import EXPERIMENT, demo_experiments
from promptlooper_export.store.writer import write
from webservice import Service, settings_for


@pytest.fixture
def service(database: Database) -> Service:
    write(database.url, demo_experiments())
    return Service(settings_for(database.url))


@on_sqlite
def test_one_winner_is_better_one_is_lucky_one_experiment_failed_and_one_is_empty(
    service: Service,
) -> None:
    text = harmless(service.ask("/experiments", headers=BROWSER)).text

    for expected in (
        r"pump-manual-assistant running run-\d+ [\d.]+ Better \d+ ",
        r"invoice-fields pending No scored run yet 0 ",
        r"support-reply-tone completed run-\d+ [\d.]+ Not enough data \d+ ",
        r"contract-summaries failed No scored run yet \d+ ",
    ):
        assert re.search(expected, text), expected
    report = service.ask(f"/experiments/{EXPERIMENT}/export?format=report-json")
    found = report.get_json()
    assert found["warnings"] == []
    assert found["assessment"]["verdicts"][0]["counts"] == [20]
    assert {group["retry"] for group in found["failures"]["groups"]} == {"yes", "no"}
    assert "\n" in found["winner"]["config"]["prompt"]["system"]


def test_the_data_is_always_the_same() -> None:
    first, again = ([list(one.runs) for one in demo_experiments()] for _ in range(2))
    assert first == again
