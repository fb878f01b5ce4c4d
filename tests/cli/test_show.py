import json
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export.configs import JSON

ID = UUID("aaaaaaaa-0000-4000-8000-000000000001")


def config(model: str) -> JSON:
    return {"model": {"name": model}, "api_key": "hunter2hunter2"}


@pytest.fixture
def summaries(database: Database) -> None:
    database.load(
        experiment(
            run(
                {"accuracy": 0.75},
                config=config("small"),
            ),
            run(
                {"accuracy": 0.5},
                config=config("large"),
            ),
            run({}, status="failed"),
            name="summaries",
            id=ID,
        )
    )


@pytest.mark.usefixtures("summaries")
def test_the_verdict_and_the_next_config_are_shown(
    console: Console,
) -> None:
    done = console.run("show", "summaries")
    lines = done.stdout.decode().splitlines()

    assert lines[0] == f"summaries (completed, {ID})"
    assert lines[1:3] == ["3 runs: 2 completed, 1 failed", "2 runs compared"]
    assert any(line.startswith("Winner: 0.7500, run ") for line in lines)
    assert any(line.startswith("Not enough data to tell") for line in lines)
    assert any(line.startswith("Place 2: 0.5000, run ") for line in lines)
    assert ["model.name", '"large"', "instead", "of", '"small"'] in [
        line.split() for line in lines
    ]
    assert '  model.name  "small"' in lines
    assert '  api_key     "[redacted]"' in lines
    assert b"warning: " in done.stderr
    assert done.returncode == 0


@on_sqlite
def test_without_a_scored_run_there_is_no_winner(
    console: Console, database: Database
) -> None:
    database.load(experiment(run({}, status="failed"), name="empty"))

    done = console.run("show", "empty")

    assert (
        "No winner: no completed run has a score that counts." in done.stdout.decode()
    )
    assert done.returncode == 0


@on_sqlite
def test_lines_fit_a_narrow_terminal_and_hide_no_escape_sequence(
    console: Console, database: Database
) -> None:
    hostile: JSON = {"prompt": "long " * 100, "\x1b[2J": "\x1b[2J"}
    name = "\x1b]0;title\x07" + "n" * 100
    database.load(experiment(run({"a": 1.0}, config=hostile), name=name, id=ID))

    shown = console.run("show", str(ID)[:8]).stdout.decode()

    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_the_whole_report_can_be_json(console: Console) -> None:
    report = json.loads(console.run("show", "summaries", "--json").stdout)
    assert report["winner"]["config"]["api_key"] == "[redacted]"
    assert [row["rank"] for row in report["top"]] == [1, 2]
