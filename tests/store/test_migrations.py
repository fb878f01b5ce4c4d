"""Adopting a runner's database, and giving it back."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from databases import Database
from promptlooper_export.errors import DatabaseUnavailableError, MigrationError
from promptlooper_export.store.migrate import LATEST, migrate
from promptlooper_export.store.open import open_store
from promptlooper_export.viewer import OPERATOR

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
EXPERIMENT = UUID(int=1)
RUNS = tuple(UUID(int=10 + number) for number in range(3))
TABLES = ("users", "experiments", "runs", "scores", "stage_results")

RUNNER_INSERT_RUN = (
    "INSERT INTO runs (id, experiment_id, config, config_hash, status, tokens_in, "
    "tokens_out, duration_ms, error, created_at, updated_at) "
    "VALUES (?, ?, ?, 'h', 'completed', 1, 2, 3, NULL, ?, ?)"
)
RUNNER_INSERT_SCORE = "INSERT INTO scores (run_id, scorer_name, value) VALUES (?, ?, ?)"


def fill(database: Database) -> None:
    """Write what a runner writes, with a runner's statements."""
    database.execute(
        "INSERT INTO experiments (id, name, status, scoring_config, created_at, "
        "updated_at) VALUES (?, 'adopted', 'completed', '{}', ?, ?)",
        EXPERIMENT,
        WHEN,
        WHEN,
    )
    for number, run in enumerate(RUNS):
        database.execute(RUNNER_INSERT_RUN, run, EXPERIMENT, "{}", WHEN, WHEN)
        database.execute(RUNNER_INSERT_SCORE, run, "accuracy", number / 10)


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr)
        for table in TABLES
    }


def schema(database: Database) -> list[tuple[object, ...]]:
    """Everything that the catalogue knows, in words."""
    if database.kind == "sqlite":
        return database.execute("SELECT type, name FROM sqlite_master ORDER BY 1, 2")
    return database.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' "
        "UNION SELECT 'trigger', tgname::text, '' FROM pg_trigger "
        "WHERE NOT tgisinternal "
        "UNION SELECT 'index', indexname, '' FROM pg_indexes "
        "WHERE schemaname = 'public' "
        "UNION SELECT 'function', proname::text, '' FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2"
    )


def winner(database: Database) -> UUID:
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        return snapshot.best(EXPERIMENT).run_id


def test_a_runners_database_is_adopted_with_its_rows(runner_database: Database) -> None:
    fill(runner_database)
    before = rows(runner_database)
    assert migrate(runner_database.url)
    assert winner(runner_database) == RUNS[2]
    for table, kept in rows(runner_database).items():
        assert [
            row[: len(old)] for row, old in zip(kept, before[table], strict=True)
        ] == (before[table])


def test_the_runner_goes_on_with_its_old_statements(runner_database: Database) -> None:
    migrate(runner_database.url)
    fill(runner_database)
    assert winner(runner_database) == RUNS[2]
    runner_database.execute(RUNNER_INSERT_SCORE, RUNS[0], "accuracy", 5.0)
    assert winner(runner_database) == RUNS[0]


def test_migrating_twice_changes_nothing(runner_database: Database) -> None:
    migrate(runner_database.url)
    once = schema(runner_database)
    assert migrate(runner_database.url) == ()
    assert schema(runner_database) == once


def test_an_empty_database_gets_every_table(empty_database: Database) -> None:
    assert migrate(empty_database.url)
    fill(empty_database)
    assert winner(empty_database) == RUNS[2]


def test_a_dry_run_names_the_statements_and_changes_nothing(
    runner_database: Database,
) -> None:
    fill(runner_database)
    before = schema(runner_database), rows(runner_database)
    statements = migrate(runner_database.url, dry_run=True)
    assert any("CREATE TABLE export_ranking" in statement for statement in statements)
    assert (schema(runner_database), rows(runner_database)) == before
    assert migrate(runner_database.url) == statements


def test_the_way_back_leaves_what_the_runner_made(runner_database: Database) -> None:
    fill(runner_database)
    before = schema(runner_database), rows(runner_database)
    migrate(runner_database.url)
    assert migrate(runner_database.url, target=0)
    assert (schema(runner_database), rows(runner_database)) == before
    runner_database.execute(RUNNER_INSERT_SCORE, RUNS[0], "accuracy", 5.0)
    migrate(runner_database.url)
    assert winner(runner_database) == RUNS[0]


def test_of_many_at_once_one_migrates(runner_database: Database) -> None:
    fill(runner_database)
    outcomes: list[object] = []

    def attempt() -> None:
        try:
            outcomes.append(len(migrate(runner_database.url)))
        except Exception as error:  # noqa: BLE001  shown by the assertion below
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes))[:4] == ["0"] * 4
    assert winner(runner_database) == RUNS[2]


def test_an_edited_migration_is_refused(runner_database: Database) -> None:
    migrate(runner_database.url)
    runner_database.execute("UPDATE export_migrations SET sha256 = 'other'")
    with pytest.raises(MigrationError, match="Migration 1 differs"):
        migrate(runner_database.url, target=0)


def test_a_newer_schema_is_refused(runner_database: Database) -> None:
    migrate(runner_database.url)
    runner_database.execute(
        "INSERT INTO export_migrations VALUES (?, 'later', 'x')", LATEST + 1
    )
    with pytest.raises(MigrationError, match="install the newer release"):
        migrate(runner_database.url)


def test_a_database_without_a_runners_columns_is_refused(
    empty_database: Database,
) -> None:
    empty_database.execute("CREATE TABLE experiments (title TEXT)")
    with pytest.raises(MigrationError, match="is this the right database"):
        migrate(empty_database.url)
    empty_database.execute("DROP TABLE experiments")
    assert migrate(empty_database.url)


def test_an_unmigrated_database_says_what_to_run(runner_database: Database) -> None:
    with (
        pytest.raises(DatabaseUnavailableError, match="promptlooper-export migrate"),
        open_store(runner_database.url).snapshot(OPERATOR) as snapshot,
    ):
        snapshot.best(EXPERIMENT)


def test_a_file_in_rollback_journal_mode_is_brought_to_wal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    migrate(url)
    database = Database(kind="sqlite", url=url)
    assert database.execute("PRAGMA journal_mode") == [("wal",)]
