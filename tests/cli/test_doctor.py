import json

import pytest

from cli.console import Console, on_sqlite
from cli.strangers import beside_strangers
from databases import Database
from webservice import SECRET


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
        ("a" * 64, "can be guessed: words, patterns, repetitions"),
        ("change-me-" * 4, "can be guessed: words, patterns, repetitions"),
        (
            "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
            "is printed in public documentation",
        ),
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
def test_the_line_break_of_a_file_in_a_secret_is_named(console: Console) -> None:
    shown = console.run("doctor", JWT_SECRET_KEY=f"{SECRET}\n").stdout.decode()
    assert "(set, 65 bytes) (environment); it ends with a line break" in shown
    made = console.run("token", "--subject", "a", JWT_SECRET_KEY=f"{SECRET} ")
    assert b"JWT_SECRET_KEY begins or ends with white space" in made.stderr
    assert SECRET.encode() not in made.stderr


@on_sqlite
def test_an_unknown_setting_is_a_refused_configuration(console: Console) -> None:
    assert console.run("doctor", WORKRES="3").returncode == 78


@on_sqlite
def test_a_spool_that_takes_no_files_is_a_refused_configuration(
    console: Console,
) -> None:
    done = console.run("doctor", SPOOL_DIR="nowhere")
    assert done.returncode == 78
    [line] = failures(done.stdout)
    assert line.startswith("PROMPTLOOPER_SPOOL_DIR: ")
    assert "No such file or directory" in line


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


def on_runners(bare: Console, database: Database) -> Console:
    environ = bare.environment(DATABASE_URL=database.url, JWT_SECRET_KEY=SECRET)
    return Console(directory=bare.directory, environ=environ)


def test_a_runners_database_needs_nothing(
    bare: Console, runner_database: Database
) -> None:
    done = on_runners(bare, runner_database).run("doctor")
    assert (failures(done.stdout), done.returncode) == ([], 0)
    shown = done.stdout.decode()
    assert "ok    tables: the runner's\n" in shown
    assert "ok    index: complete\n" in shown
    assert "ok    state: none, so every valid token sees what is open; " in shown


def test_tables_that_are_missing_are_named(
    bare: Console, runner_database: Database
) -> None:
    runner_database.execute("ALTER TABLE scores RENAME TO score")
    done = on_runners(bare, runner_database).run("doctor")
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("tables: Looked for the table scores")
    assert "score," in line or "public.score" in line


@on_sqlite
def test_a_journal_mode_in_which_exports_copy_the_file_is_named(
    console: Console, database: Database
) -> None:
    assert "ok    journal mode: wal\n" in console.run("doctor").stdout.decode()
    database.execute("PRAGMA journal_mode = DELETE")
    done = console.run("doctor")
    assert (failures(done.stdout), done.returncode) == ([], 0)
    assert (
        b"ok    journal mode: delete; recommended: have the runner set" in done.stdout
    )


def test_an_index_that_would_help_is_named(
    bare: Console, runner_database: Database
) -> None:
    runner_database.execute("DROP INDEX stage_results_run_id")
    done = on_runners(bare, runner_database).run("doctor")
    assert (failures(done.stdout), done.returncode) == ([], 0)
    shown = done.stdout.decode().replace('"', "").replace(" CONCURRENTLY", "")
    assert (
        "ok    index: could be faster: CREATE INDEX export_stage_results_run ON "
        "stage_results (run_id); promptlooper-export index creates it\n"
    ) in shown


@pytest.mark.parametrize("runner_database", ["postgresql"], indirect=True)
def test_rows_that_the_role_may_not_see_are_spoken_of(
    bare: Console, runner_database: Database
) -> None:
    runner_database.execute("ALTER TABLE runs ENABLE ROW LEVEL SECURITY")
    console = on_runners(bare, runner_database)
    assert b"row-level" not in console.run("doctor").stdout  # not for a superuser
    runner_database.execute("DROP ROLE IF EXISTS doctor_reader")
    runner_database.execute("CREATE ROLE doctor_reader LOGIN")
    runner_database.execute("GRANT pg_read_all_data TO doctor_reader")
    url = runner_database.url.replace("postgres@", "doctor_reader@")
    done = console.run("doctor", DATABASE_URL=url)
    assert (failures(done.stdout), done.returncode) == ([], 0)
    assert b"ok    row-level security: active; only the rows that" in done.stdout


def test_a_state_that_cannot_be_used_is_a_refused_configuration(
    bare: Console, runner_database: Database
) -> None:
    console = on_runners(bare, runner_database)
    done = console.run("doctor", STATE_URL="sqlite:///nowhere.db")
    assert done.returncode == 78
    [line] = failures(done.stdout)
    assert line.startswith("state: PROMPTLOOPER_STATE_URL cannot be used: ")
    assert line.endswith("; fix it, or run: promptlooper-export migrate")
    console.run("migrate", STATE_URL="sqlite:///nowhere.db")
    done = console.run("doctor", STATE_URL="sqlite:///nowhere.db")
    assert (failures(done.stdout), done.returncode) == ([], 0)
    assert b"ok    state: in PROMPTLOOPER_STATE_URL\n" in done.stdout


@on_sqlite
def test_a_broken_plugin_is_named_with_its_package(console: Console) -> None:
    done = beside_strangers(console).run("doctor")
    assert done.returncode == 1
    [line] = failures(done.stdout)
    assert line.startswith("format broken: left out: import failed: ")
    assert line.endswith("; fix or remove the package strangers")


@on_sqlite
def test_the_checks_can_be_json(console: Console) -> None:
    done = console.run("doctor", "--json")
    rows = json.loads(done.stdout)
    assert {"subject": "index", "state": "complete", "remedy": None} in rows
    assert done.returncode == 0
