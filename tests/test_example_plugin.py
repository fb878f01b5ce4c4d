"""The example of a format in a package of its own, installed as its users would."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import experiment, run
from cli.console import COMMAND, on_sqlite
from databases import Database
from promptlooper_export.plugin import JSON
from webservice import Service, settings_for

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
BODY = b"model=small\nprompt.system=Answer.\\nBriefly.\n"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into a folder of its own, without any network."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "package")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", *offline),
            *("--target", folder / "site", folder / "package"),
        ],
        check=True,
    )
    return folder / "site"


def environment(site: Path, **others: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), **others}


def command(site: Path, *arguments: str, **others: str) -> bytes:
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment(site, **others),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


@pytest.fixture
def path(database: Database) -> str:
    config: JSON = {"model": "small", "prompt": {"system": "Answer.\nBriefly."}}
    loaded = experiment(run({"accuracy": 1.0}, config=config), name="summaries")
    database.load(loaded)
    return f"/experiments/{loaded.id}/export"


@pytest.fixture
def service(
    database: Database, site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    monkeypatch.syspath_prepend(site)
    yield Service(settings_for(database.url))
    sys.modules.pop("promptlooper_properties")


def test_its_own_tests_pass(site: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env=environment(site),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


@on_sqlite
def test_it_is_served_by_name_and_by_media_type(service: Service, path: str) -> None:
    by_name = service.ask(f"{path}?format=properties")
    by_type = service.ask(path, headers={"Accept": "text/x-java-properties"})

    assert by_name.data == by_type.data == BODY
    assert by_type.content_type == "text/x-java-properties; charset=utf-8"
    disposition = by_name.headers["Content-Disposition"]
    assert 'filename="summaries.properties"' in disposition
    assert service.ask(f"{path}?format=properties&encoding=latin-1").status_code == 422


@on_sqlite
def test_everything_that_describes_the_service_knows_it(
    service: Service, path: str
) -> None:
    rows = service.client.get("/formats").get_json()["formats"]
    described = service.client.get("/openapi.json").get_json()

    assert rows[-1]["name"] == "properties"
    assert [row["name"] for row in rows[-1]["options"]] == ["encoding"]
    assert "text/x-java-properties" in str(described["paths"])
    assert "Java properties" in service.client.get("/docs").text
    menu = service.ask("/experiments", headers={"Accept": "text/html"}).text
    assert f'href="{path}?format=properties"' in menu


@on_sqlite
@pytest.mark.usefixtures("path")
def test_the_command_line_knows_it(
    site: Path, database: Database, tmp_path: Path
) -> None:
    url = database.url
    exported = command(
        site, "export", "summaries", "-fproperties", PROMPTLOOPER_DATABASE_URL=url
    )
    assert exported == BODY
    file = tmp_path / "best.properties"
    command(site, "export", "summaries", "-o", str(file), PROMPTLOOPER_DATABASE_URL=url)
    assert file.read_bytes() == BODY
    assert b"properties" in command(site, "formats")
    assert b"Java properties; options: encoding" in command(site, "export", "--help")
    completed = command(
        site,
        _PROMPTLOOPER_EXPORT_COMPLETE="bash_complete",
        COMP_WORDS="promptlooper-export export -f pr",
        COMP_CWORD="3",
    )
    assert completed == b"plain,properties\n"
