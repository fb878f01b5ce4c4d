"""Exports that a browser shows as pages."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256

import numpy as np
import pytest

from builders import experiment, run
from databases import Database
from pages import Page, harmless
from planted import plant
from webservice import Service, settings_for

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
STRANGER = """
from promptlooper_export.plugin import Best, Format

PAGE = (
    b"<!DOCTYPE html><title>x</title><STYLE media=all>a{}\\r\\nb{}</STYLE>"
    b"<style>c{}</style><body><style>planted{}</style><script>run()</script>"
)
FORMAT = Format(name="stranger", title="Stranger", document=Best,
    media_types=("TYPE",), extension="x", render=lambda best: iter([PAGE]))
"""


def served(database: Database) -> tuple[Service, str]:
    loaded = experiment(run({"accuracy": 1.0}), name="<script>alert(1)</script>")
    database.load(loaded)
    return Service(settings_for(database.url)), f"/experiments/{loaded.id}/export"


def digests(*styles: str) -> str:
    return " ".join(
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in styles
    )


def test_a_browser_gets_the_report_as_a_page(database: Database) -> None:
    service, path = served(database)
    response = service.ask(path, headers={"Accept": BROWSER})
    page = harmless(response)

    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"].endswith(
        "; sandbox allow-same-origin allow-downloads"
    )
    assert response.headers["Content-Location"] == f"{path}?format=html"
    assert "Accept" in response.vary
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize("query", ["", "?format=html"])
def test_a_page_links_to_every_format(database: Database, query: str) -> None:
    service, path = served(database)
    response = service.ask(f"{path}{query}", headers={"Accept": BROWSER})
    formats = service.client.get("/formats").get_json()["formats"]

    links = [(f"{path}?format={row['name']}", row["media_types"][0]) for row in formats]
    assert response.headers["Link"] == ", ".join(
        f'<{url}>; rel="alternate"; type="{media_type}"' for url, media_type in links
    )
    assert "Link" not in service.ask(f"{path}?format=markdown").headers


def test_a_coded_page_has_the_policy_of_the_plain_one(database: Database) -> None:
    service, path = served(database)
    plain = service.ask(f"{path}?format=html")
    coded = service.ask(f"{path}?format=html", headers={"Accept-Encoding": "gzip"})

    assert coded.headers["Content-Encoding"] == "gzip"
    field = "Content-Security-Policy"
    assert coded.headers[field] == plain.headers[field]


@pytest.mark.parametrize("media_type", ["application/xhtml+xml", "image/SVG+xml"])
def test_a_strangers_page_may_have_its_style_and_nothing_else(
    database: Database, install_format: Callable[[str], None], media_type: str
) -> None:
    install_format(STRANGER.replace("TYPE", media_type))
    service, path = served(database)
    policy = service.ask(f"{path}?format=stranger").headers["Content-Security-Policy"]
    allowed = digests("a{}\nb{}", "c{}")

    assert policy == (
        f"default-src 'none'; style-src {allowed}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; img-src data:; "
        "sandbox allow-same-origin allow-downloads"
    )


@pytest.mark.parametrize("name", ["json", "yaml", "markdown", "env"])
def test_data_has_no_policy(database: Database, name: str) -> None:
    service, path = served(database)
    response = service.ask(f"{path}?format={name}")
    assert "Content-Security-Policy" not in response.headers


def numbers(value: object) -> Iterator[float]:
    """Yield every number in a report as JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from numbers(member)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_every_number_on_the_page_is_one_of_the_report_as_json(
    database: Database,
) -> None:
    random = np.random.default_rng(5)
    loaded = plant(
        database,
        {
            f"config {number}": {
                f"case {case}": float(random.normal(0.5 + number / 50, 0.1))
                for case in range(20)
            }
            for number in range(12)
        },
    )
    service = Service(settings_for(database.url))
    url = f"/experiments/{loaded.id}/export"
    shown = Page(service.ask(f"{url}?format=html").text).named("data")
    exact = [float(element.attributes["value"]) for element in shown]
    known = set(numbers(service.ask(f"{url}?format=report-json").get_json()))
    assert len(exact) > 100
    # How far the first run is ahead is the difference of two numbers.
    assert set(exact) - known == set()
    for element, value in zip(shown, exact, strict=True):
        text = "".join(element.text).replace(",", "").replace("\u2212", "-")
        if text != "< 0.001":
            assert float(text) == pytest.approx(value, rel=6e-4, abs=6e-5)
