"""The service as its clients meet it."""

from pathlib import Path

import pytest

from databases import Database
from webservice import Service, settings_for


@pytest.fixture
def service(database: Database) -> Service:
    """Serve a database of each kind in turn."""
    return Service(settings_for(database.url))


@pytest.fixture
def service_without_database(tmp_path: Path) -> Service:
    """Serve a database that is not there: nothing that needs one can succeed."""
    return Service(settings_for(f"sqlite:///{tmp_path / 'missing.db'}"))
