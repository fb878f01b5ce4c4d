"""What migrate makes and takes away, and that a runner's database stays as it is."""

import hashlib
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

import runner_schema
from builders import experiment, run
from databases import Database
from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    MigrationError,
    SettingsError,
)
from promptlooper_export.store.catalog import read_catalog
from promptlooper_export.store.diagnosis import diagnose, look_at_indexes
from promptlooper_export.store.earlier import is_earlier
from promptlooper_export.store.migrate import (
    Standing,
    migrate,
    prepare_own,
    take_away,
)
from promptlooper_export.store.state import (
    grant,
    grantees,
    locate,
    looking,
    revoke_token,
    revoked_tokens,
)

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
EXPERIMENT = UUID(int=1)
TABLES = ("users", "experiments", "runs", "scores", "stage_results")
DATA = Path(__file__).parents[1] / "data"
MIGRATIONS = Path(__file__).parents[2] / "migrations"

on_sqlite = pytest.mark.parametrize("runner_database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize(
    "runner_database", ["postgresql"], indirect=True
)


def fill(database: Database) -> None:
    """Write what a runner writes, with a runner's statements."""
    database.execute(
        "INSERT INTO experiments (id, name, status, scoring_config, created_at, "
        "updated_at) VALUES (?, 'adopted', 'completed', '{}', ?, ?)",
        EXPERIMENT,
        WHEN,
        WHEN,
    )
    for number in range(3):
        key = UUID(int=10 + number)
        database.execute(
            "INSERT INTO runs (id, experiment_id, config, config_hash, status, "
            "created_at, updated_at) VALUES (?, ?, '{}', 'h', 'completed', ?, ?)",
            key,
            EXPERIMENT,
            WHEN,
            WHEN,
        )
        database.execute(
            "INSERT INTO scores (run_id, scorer_name, value) VALUES (?, 'a', ?)",
            key,
            number / 10,
        )


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr)
        for table in TABLES
    }


def schema(database: Database) -> list[tuple[object, ...]]:
    """Everything that the catalogue knows, in words."""
    if database.kind == "sqlite":
        return database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 2")
    return database.execute(
        "SELECT table_schema, table_name, column_name, data_type"
        " FROM information_schema.columns"
        " WHERE table_schema IN ('public', 'promptlooper_export') "
        "UNION SELECT 'trigger', tgname::text, '', '' FROM pg_trigger "
        "WHERE NOT tgisinternal "
        "UNION SELECT 'index', schemaname, indexname, '' FROM pg_indexes "
        "WHERE schemaname IN ('public', 'promptlooper_export') "
        "UNION SELECT 'function', proname::text, '', '' FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace "
        "UNION SELECT 'schema', nspname, '', '' FROM pg_namespace "
        "WHERE nspname NOT LIKE 'pg_%' ORDER BY 1, 2, 3, 4"
    )


def ours(database: Database) -> list[object]:
    """Return the names of all that an earlier version may have made."""
    return [
        name
        for row in schema(database)
        for name in row[:3]
        if str(name).startswith("export_")
    ]


def files(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def load_earlier(database: Database, *, own: bool = False) -> None:
    """Load what an earlier version made, around a runner's tables or our own."""
    text = (DATA / f"earlier.{database.kind}.sql").read_text(encoding="utf-8")
    if own:
        text = with_our_tables(text)
    if database.kind == "sqlite":
        path = database.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(text)
    else:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(text.encode())


def with_our_tables(dump: str) -> str:
    """Return a dump of SQLite with our tables, empty, in place of the runner's."""
    tables = (MIGRATIONS / "tables_0001_runner.sqlite.up.sql").read_text("utf-8")
    made = [text for text in statements(tables) if "CREATE INDEX" not in text]
    kept = [
        text
        for text in statements(dump)
        if not text.startswith(tuple(f"CREATE TABLE {table} " for table in TABLES))
        and not text.startswith(tuple(f'INSERT INTO "{table}"' for table in TABLES))
        and "INDEX runs_experiment_id" not in text
        and "INDEX stage_results_run_id" not in text
    ]
    return "\n".join([kept[0], *made, *kept[1:]])


def statements(text: str) -> list[str]:
    found, statement = [], ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement.strip())
            statement = ""
    return found


def test_an_empty_database_gets_every_table_if_asked_for(
    empty_database: Database,
) -> None:
    url = empty_database.url
    assert migrate(url).statements == ()
    assert schema(empty_database) == [] or empty_database.kind == "postgresql"
    assert migrate(url, create=True).standing is Standing.EMPTY
    assert empty_database.load(experiment(run({"a": 0.5}))).runs == 1
    assert migrate(url).statements == ()
    with looking(url) as session:
        read_catalog(session)


def test_a_database_of_our_own_is_in_wal_mode(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    migrate(url, create=True)
    assert diagnose(url).journal_mode == "wal"


def test_nothing_is_added_to_a_runners_tables(runner_database: Database) -> None:
    fill(runner_database)
    before = rows(runner_database)
    public = [row for row in schema(runner_database) if "promptlooper" not in str(row)]
    outcome = migrate(runner_database.url)
    assert outcome.standing is Standing.RUNNERS
    assert rows(runner_database) == before
    after = [row for row in schema(runner_database) if "promptlooper" not in str(row)]
    assert after == public
    assert migrate(runner_database.url).statements == ()


@on_sqlite
def test_looking_changes_no_file(runner_database: Database, tmp_path: Path) -> None:
    fill(runner_database)
    runner_database.execute("PRAGMA journal_mode = DELETE")
    url = runner_database.url
    before = files(tmp_path)
    assert migrate(url, dry_run=True).statements
    assert take_away(url, dry_run=True) == ()
    diagnose(url)
    look_at_indexes(url)
    locate(url, None)
    assert files(tmp_path) == before
    migrate(url)
    after = files(tmp_path)
    assert after.pop("runner.db.export-state")
    assert after == before


def test_a_dry_run_names_the_statements_and_changes_nothing(
    runner_database: Database,
) -> None:
    before = schema(runner_database)
    statements = migrate(runner_database.url, dry_run=True).statements
    assert statements
    assert schema(runner_database) == before
    assert migrate(runner_database.url).statements == statements


def test_the_way_back_leaves_nothing(runner_database: Database, tmp_path: Path) -> None:
    fill(runner_database)
    names = set(files(tmp_path))
    before = schema(runner_database), rows(runner_database)
    migrate(runner_database.url)
    grant(runner_database.url, None, EXPERIMENT, "user:ada")
    planned = take_away(runner_database.url, dry_run=True)
    assert grantees(runner_database.url, None, EXPERIMENT) == ("user:ada",)
    assert take_away(runner_database.url) == planned
    assert (schema(runner_database), rows(runner_database)) == before
    assert set(files(tmp_path)) == names
    assert take_away(runner_database.url) == ()
    assert migrate(runner_database.url).statements


def test_our_own_tables_are_taken_away_only_without_experiments(
    empty_database: Database,
) -> None:
    before = schema(empty_database)
    migrate(empty_database.url, create=True)
    empty_database.load(experiment(run({"a": 0.5})))
    made = schema(empty_database)
    with pytest.raises(MigrationError, match="holds experiments"):
        take_away(empty_database.url)
    assert schema(empty_database) == made
    for table in ("scores", "stage_results", "runs", "experiments"):
        empty_database.execute(f"DELETE FROM {table}")
    take_away(empty_database.url)
    assert schema(empty_database) == before


@pytest.mark.parametrize("create", [True, False])
def test_of_many_at_once_one_migrates(
    request: pytest.FixtureRequest, tmp_path: Path, *, create: bool
) -> None:
    cluster = request.getfixturevalue("cluster")
    with cluster.database() as name:
        for database in (
            Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'many.db'}"),
            Database(kind="postgresql", url=cluster.url(name)),
        ):
            url = database.url
            if not create:
                for statement in runner_schema.statements(database.kind):
                    database.execute(statement)
            outcomes: list[object] = []

            def attempt(url: str = url, said: list[object] = outcomes) -> None:
                try:
                    migrate(url, create=create)
                    said.append("done")
                except Exception as error:  # noqa: BLE001  shown by the assertion below
                    said.append(error)

            threads = [threading.Thread(target=attempt) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert outcomes == ["done"] * 5
            assert migrate(url).statements == ()


def test_an_edited_step_is_refused(database: Database) -> None:
    record = {
        "sqlite": "export_migrations",
        "postgresql": "promptlooper_export.migrations",
    }[database.kind]
    database.execute(f"UPDATE {record} SET sha256 = 'other'")
    for act in (migrate, take_away):
        with pytest.raises(MigrationError, match="Step 1 of the state differs"):
            act(database.url)
    database.execute(f"UPDATE {record} SET version = 99 WHERE part = 'state'")
    with pytest.raises(MigrationError, match="install the newer release"):
        migrate(database.url)


def test_another_programs_database_is_refused(empty_database: Database) -> None:
    empty_database.execute("CREATE TABLE posts (title TEXT)")
    for create in (False, True):
        with pytest.raises(DatabaseNotUnderstoodError, match="posts"):
            migrate(empty_database.url, create=create)
    with pytest.raises(DatabaseNotUnderstoodError, match="posts"):
        prepare_own(empty_database.url, None)


def test_tables_that_came_in_place_of_ours_are_the_runners(
    database: Database,
) -> None:
    for table in ("scores", "stage_results", "runs", "experiments"):
        database.execute(f"DROP TABLE {table}")
    for statement in runner_schema.statements(database.kind):
        database.execute(statement)
    with pytest.raises(MigrationError, match="belongs to the runner"):
        database.load(experiment(run({"a": 0.5})))
    assert not diagnose(database.url).is_own


@on_postgresql
def test_without_the_right_to_make_a_schema_the_grant_is_named(
    runner_database: Database, tmp_path: Path
) -> None:
    runner_database.execute("DROP ROLE IF EXISTS migrator")
    runner_database.execute("CREATE ROLE migrator LOGIN")
    url = runner_database.url.replace("postgres@", "migrator@")
    runner_database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO migrator")
    name = url.rpartition("/")[2]
    for dry_run in (True, False):
        with pytest.raises(
            MigrationError, match=f"GRANT CREATE ON DATABASE {name} TO migrator"
        ):
            migrate(url, dry_run=dry_run)
    apart = f"sqlite:///{tmp_path / 'state.db'}"
    assert migrate(url, state_url=apart).apart
    runner_database.execute("CREATE SCHEMA promptlooper_export")
    runner_database.execute("GRANT USAGE ON SCHEMA promptlooper_export TO migrator")
    with pytest.raises(MigrationError, match="GRANT CREATE ON SCHEMA"):
        migrate(url)
    runner_database.execute("GRANT CREATE ON SCHEMA promptlooper_export TO migrator")
    assert migrate(url).statements


@on_postgresql
def test_a_read_only_database_says_to_migrate_its_primary(
    runner_database: Database,
) -> None:
    url = f"{runner_database.url}?options=-cdefault_transaction_read_only%3Don"
    with pytest.raises(MigrationError, match="migrate its primary"):
        migrate(url)


@on_sqlite
def test_a_state_beside_goes_on_if_the_tables_become_our_own(
    runner_database: Database, tmp_path: Path
) -> None:
    url = runner_database.url
    migrate(url)
    grant(url, None, EXPERIMENT, "user:ada")
    for path in tmp_path.glob("runner.db*"):
        if not path.name.endswith("export-state"):
            path.unlink()
    prepare_own(url, None)
    assert grantees(url, None, EXPERIMENT) == ("user:ada",)


def test_what_an_earlier_version_added_is_refused_until_it_is_cleaned(
    empty_database: Database,
) -> None:
    load_earlier(empty_database)
    url = empty_database.url
    with looking(url) as session:
        assert is_earlier(session)
    for act in (diagnose, look_at_indexes, take_away):
        with pytest.raises(
            DatabaseNotUnderstoodError, match="run: promptlooper-export migrate"
        ):
            act(url)
    with pytest.raises(DatabaseNotUnderstoodError):
        grant(url, None, EXPERIMENT, "user:bob")
    with pytest.raises(DatabaseNotUnderstoodError):
        revoke_token(url, None, "a", expires_at=None)
    with pytest.raises(DatabaseNotUnderstoodError):
        prepare_own(url, None)
    migrate(url)
    with looking(url) as session:
        assert not is_earlier(session)


@pytest.mark.parametrize("named", [False, True])
def test_what_an_earlier_version_added_goes_away_and_grants_hold(
    empty_database: Database, tmp_path: Path, *, named: bool
) -> None:
    load_earlier(empty_database)
    url = empty_database.url
    state_url = f"sqlite:///{tmp_path / 'state.db'}" if named else None
    before = rows(empty_database)
    made = schema(empty_database)
    planned = migrate(url, state_url=state_url, dry_run=True)
    assert schema(empty_database) == made
    outcome = migrate(url, state_url=state_url)
    assert outcome == planned
    assert outcome.standing is Standing.EARLIER
    assert "runs.tags" in outcome.columns
    assert ours(empty_database) == []
    assert rows(empty_database) == before
    assert grantees(url, state_url, EXPERIMENT) == ("group:lab", "user:ada")
    assert revoked_tokens(url, state_url)() == {"revoked-token"}
    assert migrate(url, state_url=state_url).statements == ()
    empty_database.execute("DELETE FROM scores")  # no trigger is in the way
    with pytest.raises(MigrationError, match="belongs to the runner"):
        prepare_own(url, state_url)


@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
def test_an_earlier_database_of_our_own_stays_our_own(
    empty_database: Database, tmp_path: Path
) -> None:
    load_earlier(empty_database, own=True)
    url = empty_database.url
    outcome = migrate(url)
    assert not outcome.apart
    assert sorted(map(str, set(ours(empty_database)))) == [
        "export_grants",
        "export_migrations",
        "export_revoked_tokens",
        "export_runs_order",
        "export_scores_value",
        "export_stage_results_run",
    ]
    assert grantees(url, None, EXPERIMENT) == ("group:lab", "user:ada")
    assert not list(tmp_path.glob("*export-state"))
    assert empty_database.load(experiment(run({"a": 0.5}))).runs == 1
    assert migrate(url).statements == ()


def test_half_of_what_an_earlier_version_added_goes_away_as_well(
    empty_database: Database,
) -> None:
    load_earlier(empty_database)
    # As `alembic revision --autogenerate` does, with what it does not know.
    for table in ("export_ranking", "export_migrations", "export_grants"):
        empty_database.execute(f"DROP TABLE {table}")
    migrate(empty_database.url)
    assert ours(empty_database) == []


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_triggers_go_with_a_table_that_was_swapped(
    empty_database: Database,
) -> None:
    load_earlier(empty_database)
    empty_database.execute("ALTER TABLE scores RENAME TO scores_before")
    empty_database.execute("CREATE TABLE scores AS SELECT * FROM scores_before")
    migrate(empty_database.url)
    assert ours(empty_database) == []


def test_the_state_is_not_put_among_other_tables(
    runner_database: Database, tmp_path: Path
) -> None:
    other = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'other.db'}")
    other.execute("CREATE TABLE notes (text TEXT)")
    before = files(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(SettingsError, match="other tables"):
            migrate(runner_database.url, state_url=other.url, dry_run=dry_run)
    assert files(tmp_path)["other.db"] == before["other.db"]
