from pathlib import Path

import pytest

from cli.console import Console
from databases import Database


def on(console: Console, database: Database) -> Console:
    return Console(
        directory=console.directory,
        environ=console.environment(DATABASE_URL=database.url),
    )


def said(
    console: Console, *arguments: str, code: int = 0, state: str | None = None
) -> str:
    settings = {} if state is None else {"PROMPTLOOPER_STATE_URL": state}
    there = Console(directory=console.directory, environ=console.environ | settings)
    done = there.run("migrate", *arguments)
    assert (done.returncode, done.stdout) == (code, b""), done.stderr
    return done.stderr.decode()


def test_tables_are_made_in_an_empty_database_only_if_asked_for(
    bare: Console, empty_database: Database
) -> None:
    console = on(bare, empty_database)
    advice = said(console)
    assert advice.startswith("nothing to do: the database is empty")
    assert advice.count("\n") == 1
    assert said(console, "--create") == (
        "created the runner's tables; grants and revocations are kept in the database "
        "itself\n"
    )
    assert empty_database.execute("SELECT count(*) FROM runs") == [(0,)]
    assert said(console) == "nothing to do\n"
    assert said(console, "--down") == "removed what migrate created\n"
    assert "created the runner's tables" in said(console, "--create")


def test_a_missing_file_is_made_only_if_asked_for(bare: Console) -> None:
    assert "--create" in said(bare)
    assert list(bare.directory.iterdir()) == []
    assert bare.run("migrate", "--create", "--dry-run").returncode == 0
    assert said(bare, "--down") == "nothing to do\n"
    assert list(bare.directory.iterdir()) == []
    said(bare, "--create")
    assert (bare.directory / "promptlooper.db").exists()


def test_a_runners_tables_stay_as_they_are(
    bare: Console, runner_database: Database
) -> None:
    console = on(bare, runner_database)
    where = (
        f"{runner_database.url.removeprefix('sqlite:///')}.export-state"
        if runner_database.kind == "sqlite"
        else "the database itself"
    )
    assert said(console) == (
        f"grants and revocations are kept in {where}; the runner's tables are "
        "unchanged, and nothing else is needed\n"
    )
    assert said(console) == "nothing to do\n"
    assert said(console, "--down") == "removed what migrate created\n"
    assert said(console, "--down") == "nothing to do\n"


def test_a_dry_run_prints_the_sql(bare: Console, empty_database: Database) -> None:
    console = on(bare, empty_database)
    shown = console.run("migrate", "--create", "--dry-run")
    assert shown.returncode == 0
    assert b"CREATE TABLE runs (" in shown.stdout
    assert shown.stderr.endswith(b"statements would run\n")
    assert "created" in said(console, "--create")


def test_the_state_goes_where_it_is_named(
    bare: Console, runner_database: Database
) -> None:
    console = on(bare, runner_database)
    line = said(console, state="sqlite:///ours.db")
    assert line.startswith("grants and revocations are kept in PROMPTLOOPER_STATE_URL;")
    assert [path.name for path in bare.directory.iterdir()] == ["ours.db"]
    said(console, "--down", state="sqlite:///ours.db")
    assert list(bare.directory.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("--to", "0"), ("--create", "--down"), ("now",)], ids=str
)
def test_what_migrate_does_not_know_is_a_usage_error(
    bare: Console, arguments: tuple[str, ...]
) -> None:
    assert bare.run("migrate", *arguments).returncode == 2
    assert list(bare.directory.iterdir()) == []


def test_a_state_cannot_be_among_other_tables(
    bare: Console, runner_database: Database, tmp_path: Path
) -> None:
    other = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'other.db'}")
    other.execute("CREATE TABLE notes (text TEXT)")
    for url in (other.url, "mysql://localhost/state", "sqlite:state.db"):
        refused = said(on(bare, runner_database), code=78, state=url)
        assert "PROMPTLOOPER_STATE_URL" in refused
        assert "DATABASE_URL" not in refused
    if runner_database.kind == "sqlite":
        refused = said(on(bare, runner_database), code=78, state=runner_database.url)
        assert "names the database itself" in refused
