"""Formats whose library is not installed: listed, refused with the way to get it."""

from collections.abc import Callable

import pytest

from builders import experiment, run
from databases import Database
from pages import BROWSER, harmless
from webservice import Service, problem, settings_for

STRANGER = """
from promptlooper_export.plugin import Best, Format

FORMAT = Format(
    name="slides",
    title="Slides",
    document=Best,
    media_types=("application/x-slides",),
    extension="slides",
    render=lambda best: b"never",
    requires={"json": "nothing", "a_library_that_is_nowhere": "slides[all]>=2"},
)
"""
COMMAND = "pip install 'slides[all]>=2'"


@pytest.fixture
def lacking(
    database: Database, install_format: Callable[[str], None]
) -> tuple[Service, str]:
    install_format(STRANGER.replace("slides", "stranger", 1))
    record = experiment(run({"a": 1}))
    database.load(record)
    return Service(settings_for(database.url)), f"/experiments/{record.id}/export"


def test_it_is_listed_with_the_command(lacking: tuple[Service, str]) -> None:
    service, _ = lacking
    rows = {row["name"]: row for row in service.ask("/formats").get_json()["formats"]}
    assert rows["json"]["installed"] is True
    assert rows["stranger"]["installed"] is False
    assert rows["stranger"]["install"] == COMMAND


def test_asking_for_it_says_how_to_get_it(lacking: tuple[Service, str]) -> None:
    service, path = lacking
    found = problem(service.ask(f"{path}?format=stranger"), 422, "format-not-installed")
    assert found["install"] == COMMAND
    assert COMMAND in found["detail"]


def test_no_list_links_to_it(lacking: tuple[Service, str]) -> None:
    service, path = lacking
    experiment = path.removesuffix("/export")
    for address in ("/experiments", experiment):
        page = harmless(service.ask(address, headers=BROWSER))
        assert f"{path}?format=json" in page.links
        assert f"{path}?format=stranger" not in page.links
        assert "format=stranger" not in service.ask(address).text


def test_accept_passes_it_over(lacking: tuple[Service, str]) -> None:
    service, path = lacking
    accept = {"Accept": "application/x-slides, text/yaml;q=0.1"}
    response = service.ask(path, headers=accept)
    assert response.content_type == "text/yaml; charset=utf-8"
    accept = {"Accept": "application/x-slides"}
    problem(service.ask(path, headers=accept), 406, "not-acceptable")
