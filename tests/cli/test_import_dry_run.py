"""`import --dry-run` shows what would come in, and writes nothing."""

import json
from pathlib import Path

import pytest

from cli.console import Console, on_sqlite
from databases import Database

LINES = (
    {"type": "experiment", "name": "my search"},
    {"type": "run", "config": {}, "scores": {"accuracy": 0.25, "speed": 0.5}},
    {"type": "run", "config": {}, "scores": dict.fromkeys("vwxyz", 1)},
    {"type": "run", "config": {}, "error": "too long"},
    {"type": "experiment", "name": "empty"},
)


@pytest.fixture
def file(bare: Console) -> Path:
    path = bare.directory / "results.ndjson"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    return path


def shown(console: Console, *arguments: str) -> list[list[str]]:
    """Return the cells of the table that a dry run shows."""
    done = console.run("import", "results.ndjson", "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b"dry run: nothing was imported\n"
    rows = done.stdout.decode().splitlines()
    starts = [rows[0].index(name) for name in NAMES]
    ends = [*starts[1:], None]
    return [
        [row[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        for row in rows[1:]
    ]


SCORERS = "accuracy, speed, v, w and 3 more"
NAMES = ("EXPERIMENT", "RUNS", "BY STATUS", "SCORERS", "BEST", "IN THE DATABASE")


@pytest.mark.usefixtures("file")
def test_each_experiment_is_shown_with_its_runs_scorers_and_best_score(
    console: Console, database: Database
) -> None:
    assert shown(console) == [
        ["my search", "3", "2 completed, 1 failed", SCORERS, "1.0000", "new"],
        ["empty", "0", "", "", "", "new"],
    ]
    assert database.execute("SELECT * FROM experiments") == []


@on_sqlite
@pytest.mark.usefixtures("file")
def test_what_is_in_the_database_already_is_said(console: Console) -> None:
    console.run("import", "results.ndjson")
    assert shown(console)[0][-1] == "is there, with 3 runs"
    assert shown(console, "--replace")[0][-1].startswith("replaces ")
    other = json.dumps({"type": "experiment", "name": "empty", "description": "x"})
    done = console.run("import", "-", "--dry-run", stdin=other.encode())
    assert b"new, beside another of this name" in done.stdout


@pytest.mark.usefixtures("file")
def test_a_dry_run_makes_no_database(bare: Console) -> None:
    shown(bare)
    assert [path.name for path in bare.directory.iterdir()] == ["results.ndjson"]


@pytest.mark.usefixtures("file")
def test_a_dry_run_is_refused_where_an_import_would_be(
    bare: Console, runner_database: Database
) -> None:
    arguments = ("results.ndjson", "--dry-run")
    done = bare.run("import", *arguments, DATABASE_URL=runner_database.url)
    assert done.returncode == 1
    assert b"The database belongs to the runner" in done.stderr


@on_sqlite
def test_a_file_that_breaks_off_is_refused(console: Console, file: Path) -> None:
    with file.open("a") as opened:
        opened.write('{"type": "run"')
    done = console.run("import", file.name, "--dry-run")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"promptlooper-export: results.ndjson:6: ")


@on_sqlite
def test_what_looks_like_a_secret_is_named_and_not_shown(console: Console) -> None:
    keys = {f"key {i}": f"sk-proj-{i}" + "Zx81kQpL" * 5 for i in range(7)}
    run = {"type": "run", "config": {"nested": keys}}
    lines = ({"type": "experiment"}, *[run] * 1_001)
    source = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    done = console.run("import", "-", "--dry-run", stdin=source)
    said = done.stderr.decode()
    assert "looks like a secret is redacted in exports: config.nested" in said
    assert "and 2 more; only the first 1,000 runs were looked through" in said
    assert "Zx81kQpL" not in said
