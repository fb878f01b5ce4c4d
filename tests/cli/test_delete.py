"""`delete`: an experiment with all that belongs to it."""

import os
import subprocess
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import COMMAND, Console, on_sqlite
from databases import Database
from promptlooper_export.runs import StageResult

TABLES = ("experiments", "runs", "scores", "stage_results")


@pytest.fixture
def identity(database: Database, console: Console) -> UUID:
    """Load two experiments with a grant each; return the id of `summaries`."""
    stage = StageResult(
        stage_name="judge", output=None, tokens_in=1, tokens_out=2, duration_ms=3
    )
    for name in ("summaries", "other"):
        one = run({"accuracy": [0.5, 1]}, stage_results=(stage,))
        loaded = experiment(one, run({"accuracy": 0.25}), name=name)
        database.load(loaded)
        console.run("grant", name, f"user:{name}").check_returncode()
        if name == "summaries":
            identity = loaded.id
    return identity


def counts(database: Database) -> list[int]:
    tables = (*TABLES, database.grants)
    return [database.execute(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


@pytest.mark.parametrize("by_name", [True, False])
def test_an_experiment_goes_with_all_that_belongs_to_it(
    console: Console, database: Database, identity: UUID, *, by_name: bool
) -> None:
    assert counts(database) == [2, 4, 6, 2, 2]
    reference = "summaries" if by_name else str(identity).upper()
    done = console.run("delete", reference, "--yes")
    assert done.stderr.decode() == f"deleted summaries ({identity}, 2 runs)\n"
    assert (done.returncode, done.stdout) == (0, b"")
    assert counts(database) == [1, 2, 3, 1, 1]
    assert database.execute(f"SELECT grantee FROM {database.grants}") == [
        ("user:other",)
    ]


@on_sqlite
def test_the_beginning_of_an_id_or_a_name_deletes_nothing(
    console: Console, database: Database, identity: UUID
) -> None:
    for part in (str(identity)[:13], "summ", "nowhere"):
        done = console.run("delete", part, "--yes")
        assert done.returncode == 1
        assert done.stderr.decode() == (
            f"promptlooper-export: No experiment has the whole id or name {part!r}; "
            "see: promptlooper-export list\n"
        )
    assert counts(database)[0] == 2


@on_sqlite
def test_without_a_terminal_to_ask_on_yes_is_needed(
    console: Console, database: Database, identity: UUID
) -> None:
    done = console.run("delete", "summaries", stdin=b"y\n")
    assert done.returncode == 2
    assert (
        f"This would delete summaries ({identity}, 2 runs) for good; to do so, add "
        "--yes."
    ) in done.stderr.decode()
    assert counts(database)[0] == 2


@on_sqlite
@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 1), (b"n\n", 2), (b"\n", 2)])
@pytest.mark.usefixtures("identity")
def test_a_person_is_asked_first(
    console: Console, database: Database, answer: bytes, left: int
) -> None:
    leader, follower = os.openpty()
    os.write(leader, answer)
    done = subprocess.run(
        [COMMAND, "delete", "summaries"],
        stdin=follower,
        capture_output=True,
        cwd=console.directory,
        env=console.environ,
        check=False,
        timeout=60,
    )
    os.close(leader)
    os.close(follower)
    assert b"Delete summaries (" in done.stderr
    assert done.stdout == b""
    assert counts(database)[0] == left


def test_nothing_is_deleted_from_a_runners_database(
    bare: Console, runner_database: Database
) -> None:
    row = experiment(run())
    runner_database.execute(
        "INSERT INTO experiments (id, name, status, created_at, updated_at)"
        " VALUES (?, 'theirs', 'completed', ?, ?)",
        row.id,
        row.created_at,
        row.updated_at,
    )
    for command in ("list", "migrate"):  # with state or without
        bare.run(command, DATABASE_URL=runner_database.url)
        done = bare.run("delete", "theirs", "--yes", DATABASE_URL=runner_database.url)
        assert done.returncode == 1
        assert done.stderr.decode() == (
            "promptlooper-export: The database belongs to the runner, so nothing is "
            "written to it. Delete the experiment with the runner.\n"
        )
    assert runner_database.execute("SELECT name FROM experiments") == [("theirs",)]
