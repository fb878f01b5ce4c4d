import pytest

from cli.console import Console
from databases import Database

SCORES = "scores (run_id, scorer_name, value)"
INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE 'export%' ORDER BY name",
    "postgresql": "SELECT indexname FROM pg_indexes"
    " WHERE indexname LIKE 'export%' ORDER BY indexname",
}


@pytest.fixture
def console(bare: Console, runner_database: Database) -> Console:
    return Console(
        directory=bare.directory,
        environ=bare.environment(DATABASE_URL=runner_database.url),
    )


def indexes(database: Database) -> list[str]:
    return [name for (name,) in database.execute(INDEXES[database.kind])]


def test_indexes_are_made_on_request(
    console: Console, runner_database: Database
) -> None:
    assert console.run("index").stderr == b"nothing to do\n"
    for name in ("runs_experiment_id", "scores_run_id"):
        runner_database.execute(f"DROP INDEX {name}")
    shown = console.run("index", "--dry-run")
    assert shown.stdout.count(b"CREATE INDEX") == 2
    order = b" NULLS FIRST" if runner_database.kind == "postgresql" else b""
    wanted = b"runs (experiment_id, created_at" + order + b", id);"
    assert wanted in shown.stdout.replace(b'"', b"")
    assert indexes(runner_database) == []
    done = console.run("index")
    assert (done.returncode, done.stdout) == (0, shown.stdout)
    assert indexes(runner_database) == ["export_runs_order", "export_scores_value"]
    assert console.run("index").stderr == b"nothing to do\n"


def test_indexes_of_our_own_database_are_complete(
    bare: Console, database: Database
) -> None:
    assert bare.run("index", DATABASE_URL=database.url).stderr == b"nothing to do\n"


def test_a_view_cannot_be_indexed(console: Console, runner_database: Database) -> None:
    runner_database.execute("ALTER TABLE scores RENAME TO judgements")
    runner_database.execute("CREATE VIEW scores AS SELECT * FROM judgements")
    done = console.run("index")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"scores is a view or a partitioned or foreign table")


def test_a_database_that_is_no_runners_gets_no_index(
    bare: Console, empty_database: Database
) -> None:
    assert bare.run("index", DATABASE_URL=empty_database.url).returncode == 78


@pytest.mark.parametrize("runner_database", ["postgresql"], indirect=True)
def test_an_index_that_was_not_finished_is_made_again(
    console: Console, runner_database: Database
) -> None:
    runner_database.execute("DROP INDEX scores_run_id")
    runner_database.execute("CREATE INDEX export_scores_value ON scores (run_id)")
    runner_database.execute(
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'export_scores_value'::regclass"
    )
    done = console.run("index")
    assert done.stdout.decode().splitlines() == [
        "DROP INDEX CONCURRENTLY public.export_scores_value;",
        f"CREATE INDEX CONCURRENTLY export_scores_value ON {SCORES};",
    ]
    assert console.run("index").stderr == b"nothing to do\n"


@pytest.mark.parametrize("runner_database", ["postgresql"], indirect=True)
def test_who_does_not_own_the_table_is_told_so(
    console: Console, runner_database: Database
) -> None:
    runner_database.execute("DROP INDEX scores_run_id")
    runner_database.execute("DROP ROLE IF EXISTS index_reader")
    runner_database.execute("CREATE ROLE index_reader LOGIN")
    runner_database.execute("GRANT pg_read_all_data TO index_reader")
    url = runner_database.url.replace("postgres@", "index_reader@")
    done = console.run("index", DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "promptlooper-export: The database refuses to make the index: must be owner of "
        "table scores\n"
    )
