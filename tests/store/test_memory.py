"""What a stream of runs takes does not grow with what the runs hold."""

import subprocess
import sys
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.registry import discover

MORE = 48 << 20
"""Bytes of address space that an export of 52 MB of text may take."""

# Words: to look for a secret in one long word takes several times as long.
TEXT = "some words " * 6_000


@pytest.fixture(scope="module")
def loaded(database_of_module: Database) -> list[str]:
    """Return a database and the ids of a small and a large experiment in it."""
    small = experiment(run({"a": 0.5}))
    runs = (run({"a": 0.5}, config={"p": TEXT}, error=TEXT) for _ in range(400))
    large = experiment(*runs)
    database_of_module.load(small, large)
    return [database_of_module.url, str(small.id), str(large.id)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("database_of_module", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", discover().formats)
def test_an_export_of_long_runs_has_bounded_memory(
    loaded: list[str], name: str
) -> None:
    done = export_both(loaded, name)
    assert done.returncode == 0, done.stderr


# What formats hold does not depend on the database, whose rows are read for all alike.
@pytest.mark.parametrize("database_of_module", ["postgresql"], indirect=True)
def test_reading_long_runs_from_postgresql_has_bounded_memory(
    loaded: list[str],
) -> None:
    done = export_both(loaded, "ndjson")
    assert done.returncode == 0, done.stderr


def export_both(loaded: list[str], name: str) -> subprocess.CompletedProcess[str]:
    """Export the small experiment, then the large one in bounded memory."""
    url, small, large = loaded
    script = Path(__file__).parent / "bounded_export.py"
    command = [sys.executable, str(script), url, name, small, large, str(MORE)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
