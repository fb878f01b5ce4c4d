"""`import --replace`: the experiment of a name becomes what the file says."""

import json
from pathlib import Path
from uuid import UUID

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database

OLD, NEW, OTHER = (f"00000000-0000-0000-0000-00000000000{digit}" for digit in "123")
RUN = {"type": "run", "config": {"temperature": 0.5}, "scores": {"accuracy": 0.9}}


def lines(*members: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in members)


def head(identity: str | None = None, name: str = "summaries") -> dict[str, object]:
    return {"type": "experiment", "name": name, "id": identity}


def said(console: Console, *given: object, code: int = 0, **settings: str) -> list[str]:
    done = console.run("import", "--replace", "-", stdin=lines(*given), **settings)
    assert done.returncode == code, done.stderr
    return done.stderr.decode().splitlines()


def exported(console: Console, name: str) -> bytes:
    done = console.run("export", name, "-f", "ndjson", "-O", "header=1")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_experiment_of_the_name_becomes_what_the_file_says(
    console: Console, database: Database
) -> None:
    stage = {"stage_name": "judge"}
    said(console, head(OTHER, "other"), RUN)
    other = exported(console, "other")
    said(console, head(OLD), RUN, {**RUN, "stage_results": [stage]}, RUN)
    assert said(console, head(NEW), {**RUN, "scores": {"accuracy": 0.25}}) == [
        "imported 1 experiment, 1 run (1 replaced)"
    ]
    assert exported(console, "other") == other
    assert b'"id": "' + NEW.encode() in exported(console, "summaries")
    assert database.execute("SELECT count(*) FROM experiments") == [(2,)]
    assert database.execute("SELECT value FROM scores ORDER BY value") == [
        (0.25,),
        (0.9,),
    ]
    assert database.execute("SELECT * FROM stage_results") == []


def test_replacing_with_the_same_file_changes_no_export(console: Console) -> None:
    given = (head(), RUN, {**RUN, "name": "b"})
    assert said(console, *given) == ["imported 1 experiment, 2 runs"]
    before = exported(console, "summaries")
    assert said(console, *given) == ["imported 1 experiment, 2 runs (1 replaced)"]
    assert exported(console, "summaries") == before


def test_a_name_of_two_experiments_is_refused_with_their_ids(
    console: Console, database: Database
) -> None:
    console.run("import", "-", stdin=lines(head(OLD), RUN, head(OTHER)))
    (line,) = said(console, head(NEW), RUN, code=1)
    assert line == (
        f"promptlooper-export: stdin:1: 'summaries' is the name of several "
        f"experiments: {OLD}, {OTHER}; delete all but one of them, then replace it"
    )
    assert database.execute("SELECT count(*) FROM experiments") == [(2,)]


@on_sqlite
def test_nothing_but_the_experiment_of_the_name_is_replaced(
    console: Console, database: Database
) -> None:
    mine = {**RUN, "id": "00000000-0000-0000-0000-0000000000aa"}
    said(console, head(OLD), mine)
    (line,) = said(console, head(NEW, "b"), head(OTHER, "b"), code=1)
    assert "stdin:2: a second experiment named 'b'" in line
    (line,) = said(console, head(OLD, "b"), code=1)
    assert f"its id {OLD} belongs to the experiment 'summaries'" in line
    (line,) = said(console, head(NEW, "b"), mine, code=1)
    assert f"its run {mine['id']} belongs to another experiment" in line
    assert database.execute("SELECT name FROM experiments") == [("summaries",)]


def test_a_broken_line_leaves_the_old_experiment_as_it_was(console: Console) -> None:
    said(console, head(OLD), RUN)
    before = exported(console, "summaries")
    said(console, head(NEW), RUN, {"type": "run"}, code=1)
    assert exported(console, "summaries") == before


def test_grants_hold_for_what_takes_the_place(
    console: Console, database: Database
) -> None:
    said(console, head(OLD), RUN)
    console.run("grant", "summaries", "user:ada").check_returncode()
    for identity in (NEW, NEW):  # with another id, and with the same one
        said(console, head(identity), RUN)
        assert database.execute(f"SELECT * FROM {database.grants}") == [
            (UUID(NEW).hex if database.kind == "sqlite" else UUID(NEW), "user:ada")
        ]


def test_grants_in_a_database_of_their_own_are_handed_on_as_well(
    console: Console, database: Database, tmp_path: Path
) -> None:
    state = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'state.db'}")
    console = Console(
        directory=console.directory, environ=console.environment(STATE_URL=state.url)
    )
    console.run("migrate").check_returncode()
    said(console, head(OLD), RUN)
    console.run("grant", "summaries", "user:ada").check_returncode()
    said(console, head(NEW), RUN)
    assert state.execute("SELECT * FROM export_grants") == [(UUID(NEW).hex, "user:ada")]
    console.run("delete", "summaries", "--yes").check_returncode()
    assert state.execute("SELECT * FROM export_grants") == []
    assert database.execute(f"SELECT * FROM {database.grants}") == []


def test_nothing_of_a_runners_database_is_replaced(
    bare: Console, runner_database: Database
) -> None:
    runner_database.execute(
        "INSERT INTO experiments (id, name, status, created_at, updated_at)"
        " VALUES (?, 'summaries', 'completed', ?, ?)",
        UUID(OLD),
        (row := experiment(run())).created_at,
        row.updated_at,
    )
    (line,) = said(bare, head(NEW), code=1, DATABASE_URL=runner_database.url)
    assert "belongs to the runner" in line
    assert runner_database.execute("SELECT count(*) FROM experiments") == [(1,)]
