"""`export`, `show` and `gate` read a file in place of a database."""

import json
from pathlib import Path

import pytest
from click.testing import Result

from builders import experiment, run
from cli.console import Console, on_sqlite, run_here
from databases import Database

LINES = (
    {"type": "experiment", "name": "my search"},
    {"type": "run", "config": {"top_k": 4}, "scores": {"accuracy": 0.75}},
    {"type": "run", "config": {"top_k": 8}, "scores": {"accuracy": 0.5}},
)
OTHER = ({"type": "experiment", "name": "another search"}, *LINES[2:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, lines in (("one", LINES), ("two", (*LINES, *OTHER))):
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{name}.ndjson").write_text(text)
    return folder


def said(done: Result) -> str:
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_file_is_exported_as_it_is_converted(folder: Path) -> None:
    file = str(folder / "one.ndjson")
    arguments = (file, "-f", "env", "--reproducible")
    exported = said(run_here("export", *arguments))
    assert "TOP_K=4" in exported
    assert exported == said(run_here("convert", *arguments))


def test_the_winner_of_a_file_can_be_chosen_by_another_rule(folder: Path) -> None:
    file = str(folder / "one.ndjson")
    done = run_here("export", file, "-f", "env", "--directions", "accuracy:minimize")
    assert "TOP_K=8" in said(done)


def test_a_file_is_shown_and_judged(folder: Path) -> None:
    file = str(folder / "one.ndjson")
    assert "Winner: 0.7500" in said(run_here("show", file))
    assert "gate: passed" in said(run_here("gate", file, "--min-score", "0.7"))
    assert run_here("gate", file, "--min-score", "0.8").exit_code == 1


def test_one_of_several_experiments_of_a_file_is_named(folder: Path) -> None:
    file = str(folder / "two.ndjson")
    done = run_here("show", file)
    assert done.exit_code == 2
    assert "holds 2 experiments; use --experiment with the name or" in done.stderr
    assert "another search" in said(run_here("show", file, "--experiment", "another"))


@on_sqlite
def test_an_experiment_is_found_beside_a_folder_of_its_name(
    console: Console, database: Database
) -> None:
    (console.directory / "summaries").mkdir()
    database.load(experiment(run({"accuracy": 0.75}), name="summaries"))
    done = console.run("show", "summaries")
    assert b"Winner: 0.7500" in done.stdout


@on_sqlite
def test_an_experiment_of_a_database_is_named_once(console: Console) -> None:
    done = console.run("show", "summaries", "--experiment", "others")
    assert done.returncode == 2
    assert b"--experiment is for files; summaries is not a file" in done.stderr
