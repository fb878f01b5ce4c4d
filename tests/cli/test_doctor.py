import pytest

from cli.console import Console, on_sqlite
from cli.strangers import beside_strangers
from databases import Database

LOG = {
    "sqlite": "WITH RECURSIVE n (i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10001)"
    " INSERT INTO export_ranking_log (run_id) SELECT i FROM n",
    "postgresql": "INSERT INTO export_ranking_log (run_id)"
    " SELECT gen_random_uuid() FROM generate_series(1, 10001)",
}
DROP = {
    "sqlite": "DROP TRIGGER export_{}",
    "postgresql": "DROP TRIGGER export_{} ON scores",
}


def failures(shown: bytes) -> list[str]:
    lines = shown.decode().splitlines()
    assert all(line.startswith(("ok    ", "FAIL  ")) for line in lines)
    return [line.removeprefix("FAIL  ") for line in lines if line.startswith("FAIL")]


def test_all_is_well(console: Console) -> None:
    done = console.run("doctor")
    assert failures(done.stdout) == []
    assert done.returncode == 0
    assert done.stderr == b""


@on_sqlite
def test_every_setting_is_looked_at_and_no_secret_shown(console: Console) -> None:
    shown = console.run("doctor").stdout.decode()
    assert "ok    PROMPTLOOPER_WORKERS: 2 (default)" in shown
    assert "ok    PROMPTLOOPER_JWT_SECRET_KEY: (set, 64 bytes) (environment)" in shown
    assert console.environ["PROMPTLOOPER_JWT_SECRET_KEY"] not in shown


@on_sqlite
@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "is not set"),
        ("short", "has 5 bytes, needs 32"),
        ("a" * 64, "is one repeated character"),
        ("change-me-" * 4, "is a placeholder"),
    ],
)
def test_a_weak_secret_is_a_refused_configuration(
    console: Console, secret: str, reason: str
) -> None:
    done = console.run("doctor", JWT_SECRET_KEY=secret)
    assert done.returncode == 78
    [line] = failures(done.stdout)
    assert line.startswith(f"PROMPTLOOPER_JWT_SECRET_KEY: {reason}; ")
    assert "openssl rand -hex 32" in line


@on_sqlite
def test_an_unknown_setting_is_a_refused_configuration(console: Console) -> None:
    assert console.run("doctor", WORKRES="3").returncode == 78


@on_sqlite
@pytest.mark.parametrize(
    "url", ["sqlite:///nowhere/x.db", "postgresql://nobody@127.0.0.1:1/none"]
)
def test_a_database_that_does_not_answer_is_named(console: Console, url: str) -> None:
    done = console.run("doctor", DATABASE_URL=url)
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("database: ")
    assert "PROMPTLOOPER_DATABASE_URL" in line


def test_a_database_that_was_never_migrated_says_what_to_run(
    bare: Console, runner_database: Database
) -> None:
    done = bare.run(
        "doctor", DATABASE_URL=runner_database.url, JWT_SECRET_KEY="5f" * 32
    )
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("schema: version 0 of ")
    assert line.endswith("; run: promptlooper-export migrate")


@on_sqlite
def test_another_journal_mode_says_what_to_run(
    console: Console, database: Database
) -> None:
    database.execute("PRAGMA journal_mode = DELETE")
    done = console.run("doctor")
    assert done.returncode == 1
    assert failures(done.stdout) == [
        "journal mode: delete; run: promptlooper-export migrate"
    ]
    console.run("migrate")
    assert console.run("doctor").returncode == 0


def test_a_trigger_that_is_gone_is_named_with_its_cure(
    console: Console, database: Database
) -> None:
    database.execute(DROP[database.kind].format("scores_insert"))
    done = console.run("doctor")
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("triggers: missing, export_scores_insert; run: ")
    console.run("migrate", "--to", "0")
    console.run("migrate")
    assert console.run("doctor").returncode == 0


def test_a_long_log_says_what_to_run(console: Console, database: Database) -> None:
    if database.kind == "sqlite":
        database.execute(DROP["sqlite"].format("ranking_fold"))
    database.execute(LOG[database.kind])
    done = console.run("doctor")
    assert done.returncode == 1
    [line] = [
        line for line in failures(done.stdout) if line.startswith("ranking log: ")
    ]
    assert line == "ranking log: 10001 changes to fold; run: promptlooper-export fold"


@on_sqlite
def test_a_broken_plugin_is_named_with_its_package(console: Console) -> None:
    done = beside_strangers(console).run("doctor")
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("format broken: left out: import failed: ")
    assert line.endswith("; mend or remove the package strangers")
