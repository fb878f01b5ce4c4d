from cli.console import Console
from databases import Database


def on(console: Console, database: Database) -> Console:
    return Console(
        directory=console.directory,
        environ=console.environment(DATABASE_URL=database.url),
    )


def test_an_empty_database_is_migrated_once(
    bare: Console, empty_database: Database
) -> None:
    console = on(bare, empty_database)
    first = console.run("migrate")
    assert first.returncode == 0
    assert first.stderr.startswith(b"migrated to schema version ")
    assert first.stdout == b""
    assert empty_database.execute("SELECT count(*) FROM runs") == [(0,)]
    second = console.run("migrate")
    assert second.returncode == 0
    assert second.stderr.startswith(b"up to date: schema version ")


def test_a_dry_run_prints_the_sql_and_changes_nothing(
    bare: Console, empty_database: Database
) -> None:
    console = on(bare, empty_database)
    shown = console.run("migrate", "--dry-run")
    assert shown.returncode == 0
    assert b"CREATE TABLE export_ranking" in shown.stdout
    assert shown.stderr.endswith(b"statements would run\n")
    assert b"migrated" in console.run("migrate").stderr


def test_the_way_back_leaves_what_the_runner_made(
    bare: Console, runner_database: Database
) -> None:
    console = on(bare, runner_database)
    console.run("migrate")
    back = console.run("migrate", "--to", "0")
    assert back.returncode == 0
    assert back.stderr.startswith(b"migrated to schema version 0 ")
    again = console.run("migrate")
    assert again.stderr.startswith(b"migrated to schema version ")


def test_a_version_that_is_not_there_is_a_usage_error(bare: Console) -> None:
    assert bare.run("migrate", "--to", "9999").returncode == 2
    assert list(bare.directory.iterdir()) == []
