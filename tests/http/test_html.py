"""Exports that a browser shows as pages."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

import pytest

from builders import experiment, run
from databases import Database
from pages import harmless
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
    assert response.headers["Content-Security-Policy"].endswith("; sandbox")
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
        "form-action 'none'; frame-ancestors 'none'; img-src data:; sandbox"
    )


@pytest.mark.parametrize("name", ["json", "yaml", "markdown", "env"])
def test_data_has_no_policy(database: Database, name: str) -> None:
    service, path = served(database)
    response = service.ask(f"{path}?format={name}")
    assert "Content-Security-Policy" not in response.headers
