"""The description of the service that people read."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from http_server import listening
from pages import Page, harmless
from promptlooper_export.web.reference.formats import SNIPPETS, snippets
from webservice import Service, bearer, settings_for

RUNNERS = {
    "curl": ("sh", "-c"),
    "HTTPie": ("sh", "-c"),
    "Python": (sys.executable, "-c"),
    "JavaScript": ("node", "--input-type=module", "-e"),
}
STRANGER = """
from marshmallow import Schema, fields
from promptlooper_export.plugin import Best, Format

class Options(Schema):
    style = fields.Raw(load_default=object(), metadata={"description": "<b>odd</b>"})

FORMAT = Format(name="stranger", title="<script>alert(1)</script>", document=Best,
    media_types=("text/x-stranger",), extension="x", options=Options,
    render=lambda best, **options: iter(()))
"""


def docs(service: Service, prefix: str = "") -> Page:
    response = service.client.get("/docs", environ_overrides={"SCRIPT_NAME": prefix})
    assert response.status_code == 200
    return harmless(response)


def test_every_resource_parameter_and_problem_is_explained(
    service_without_database: Service,
) -> None:
    client = service_without_database.client
    page = docs(service_without_database)
    for path, methods in client.get("/openapi.json").get_json()["paths"].items():
        assert path in page.text
        for row in methods.values():
            for parameter in row["parameters"]:
                assert parameter["name"] in page.text
            for status, answer in row["responses"].items():
                assert status in page.text
                for media_type in answer.get("content", {}):
                    assert media_type in page.text


def test_every_link_leads_somewhere(service_without_database: Service) -> None:
    page = docs(service_without_database)
    ids = {row.attributes.get("id") for row in page.elements}
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert service_without_database.client.get(link).status_code in {200, 401}


def test_links_stand_under_the_prefix_of_a_proxy(
    service_without_database: Service,
) -> None:
    page = docs(service_without_database, prefix="/loop")
    assert [link for link in page.links if not link.startswith(("#", "/loop/"))] == []
    assert "EXPORT_URL=http://localhost/loop/experiments/ID/export" in page.text


def test_the_format_of_a_third_party_is_explained_like_any_other(
    service_without_database: Service, install_format: Callable[[str], None]
) -> None:
    install_format(STRANGER)
    page = docs(Service(service_without_database.settings))
    assert "#format-stranger" in page.links
    assert "<script>alert(1)</script>" in page.text
    assert "<b>odd</b>" in page.text
    for text in snippets("stranger", "x").values():
        assert " ".join(text.split()) in page.text


def test_the_page_that_the_client_has_is_not_sent_again(
    service_without_database: Service,
) -> None:
    client = service_without_database.client
    tag = client.get("/docs").headers["ETag"]
    assert client.get("/docs", headers={"If-None-Match": tag}).status_code == 304


@pytest.fixture(scope="module")
def export(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Serve an experiment; give the variables that the commands read."""
    path = tmp_path_factory.mktemp("docs") / "docs.db"
    shutil.copyfile(migrated_sqlite, path)
    database = Database(kind="sqlite", url=f"sqlite:///{path}")
    loaded = experiment(run({"accuracy": 1.0}, config={"prompt": "hello"}))
    database.load(loaded)
    service = Service(settings_for(database.url))
    token = bearer(service.settings)["Authorization"].removeprefix("Bearer ")
    with listening(service) as address:
        yield {
            "EXPORT_URL": f"{address}/experiments/{loaded.id}/export",
            "EXPORT_TOKEN": token,
        }


@pytest.mark.parametrize("tool", SNIPPETS)
def test_a_command_saves_the_export(
    export: dict[str, str], tool: str, tmp_path: Path
) -> None:
    def call(**others: str) -> int:
        return subprocess.run(
            [*RUNNERS[tool], snippets("env", "env")[tool]],
            cwd=tmp_path,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path / "home"),
                **export,
                **others,
            },
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode

    assert call() == 0
    assert b"PROMPT=hello" in (tmp_path / "export.env").read_bytes()
    assert call(EXPORT_TOKEN="a.b.c") != 0
