"""A damaged SQLite file is the database's fault, and the log says so."""

import sqlite3
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.registry import discover
from promptlooper_export.store.migrate import migrate
from webservice import Service, problem, settings_for

MARK = "in the middle of the rows"
PAGE = 4096


@pytest.mark.parametrize(
    "name",
    [
        row.name
        for row in discover().formats.values()
        if row.document.__name__ == "Runs"
    ],
)
def test_damage_that_is_found_among_the_rows_is_no_fault_of_the_format(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    url = f"sqlite:///{path}"
    migrate(url, create=True)
    texts = ["a" * 3_000] * 40 + [MARK] + ["b" * 3_000] * 40
    loaded = experiment(*(run({"a": 0.5}, config={"p": text}) for text in texts))
    Database(kind="sqlite", url=url).load(loaded)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(path.read_bytes())
    start = data.index(MARK.encode()) // PAGE * PAGE
    data[start : start + PAGE] = b"\xff" * PAGE
    path.write_bytes(data)
    service = Service(settings_for(url))

    refused = service.ask(f"/experiments/{loaded.id}/export?format={name}")

    answer = problem(refused, 503, "database-unavailable")
    assert "format" not in answer
    assert "damaged" in caplog.text


def test_a_file_that_is_no_database_is_not_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    url = f"sqlite:///{path}"
    migrate(url, create=True)
    service = Service(settings_for(url))
    path.write_bytes(b"noise" * 10_000)
    problem(service.client.get("/health/ready"), 503, "database-unavailable")
    assert "damaged" in caplog.text
