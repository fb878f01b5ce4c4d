"""The service as its clients meet it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders import experiment
from databases import Database
from promptlooper_export.records import RunRecord
from webservice import Service, settings_for


@pytest.fixture
def service(database: Database) -> Service:
    """Serve a database of each kind in turn."""
    return Service(settings_for(database.url))


@pytest.fixture
def service_without_database(tmp_path: Path) -> Service:
    """Serve a database that is not there: nothing that needs one can succeed."""
    return Service(settings_for(f"sqlite:///{tmp_path / 'missing.db'}"))


@pytest.fixture
def report(database: Database) -> Callable[..., dict[str, Any]]:
    """Give a function that exports runs as a report in JSON, on each database."""

    def of(*runs: RunRecord, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        loaded = experiment(*runs, **fields)
        database.load(loaded)
        service = Service(settings_for(database.url))
        answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.get_json()
        return found

    return of


@pytest.fixture
def install_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Give a function that installs a stranger's module with the format FORMAT."""

    def install(source: str) -> None:
        folder = tmp_path / "installed"
        information = folder / "stranger-1.dist-info"
        information.mkdir(parents=True)
        (folder / "stranger_format.py").write_text(source)
        (information / "METADATA").write_text("Name: stranger\nVersion: 1\n")
        (information / "entry_points.txt").write_text(
            "[promptlooper_export.formats]\nstranger = stranger_format:FORMAT\n"
        )
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "stranger_format", raising=False)

    return install
