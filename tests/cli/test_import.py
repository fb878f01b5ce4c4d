import json
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from cli.console import COMMAND, Console, on_sqlite
from databases import Database
from importers.foreign import DATA, unpacked

EXPERIMENT = {"type": "experiment", "name": "summaries"}
RUN = {"type": "run", "config": {"temperature": 0.5}, "scores": {"accuracy": 0.9}}

ADD_TRIALS = """
WITH RECURSIVE more (number) AS (
    SELECT 200 UNION ALL SELECT number + 1 FROM more WHERE number < 1199
)
INSERT INTO trials (number, study_id, state) SELECT number, 1, 'WAITING' FROM more
"""


def lines(*members: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in members)


@pytest.fixture
def source(console: Console) -> Path:
    path = console.directory / "results.ndjson"
    path.write_bytes(lines(EXPERIMENT, RUN, RUN, {**RUN, "config": {}}))
    return path


def test_an_import_reports_what_it_wrote(console: Console, source: Path) -> None:
    done = console.run("import", source.name)
    assert done.returncode == 0
    assert done.stdout == b""
    assert done.stderr == b"imported 1 experiment, 3 runs\n"


def test_importing_twice_changes_nothing(
    console: Console, database: Database, source: Path
) -> None:
    console.run("import", source.name)
    before = rows(database)
    done = console.run("import", str(source))
    assert done.stderr == b"imported 0 experiments, 0 runs (3 unchanged)\n"
    assert rows(database) == before


def test_standard_input_is_a_source(console: Console, database: Database) -> None:
    done = console.run("import", "-", stdin=lines(EXPERIMENT, RUN))
    assert done.returncode == 0
    assert database.execute("SELECT name FROM experiments") == [("summaries",)]


def test_a_broken_line_is_named_and_nothing_is_imported(
    console: Console, database: Database, source: Path
) -> None:
    broken = console.directory / "broken.ndjson"
    broken.write_bytes(lines(EXPERIMENT, RUN, RUN) + b'{"type": "run", "config"')
    done = console.run("import", source.name, broken.name)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "promptlooper-export: broken.ndjson:4: not valid JSON: "
        "Expecting ':' (column 25)\n"
    )
    assert rows(database) == []
    assert database.execute("SELECT * FROM experiments") == []


@on_sqlite
def test_a_missing_file_is_named(console: Console) -> None:
    done = console.run("import", "nowhere.ndjson")
    assert done.returncode == 1
    assert b"nowhere.ndjson: No such file" in done.stderr


@on_sqlite
def test_the_kind_can_be_named(console: Console, source: Path) -> None:
    source.rename(console.directory / "results.dat")
    done = console.run("import", "results.dat", "--from", "interchange")
    assert done.returncode == 0


@on_sqlite
def test_an_unknown_kind_is_a_usage_error(console: Console, source: Path) -> None:
    done = console.run("import", source.name, "--from", "spreadsheet")
    assert done.returncode == 2
    assert b", interchange, " in done.stderr


def test_nothing_is_imported_into_a_runners_database(
    bare: Console, runner_database: Database
) -> None:
    for command in ("list", "migrate"):  # with state or without
        bare.run(command, DATABASE_URL=runner_database.url)
        done = bare.run(
            "import",
            "-",
            stdin=lines(EXPERIMENT, RUN),
            DATABASE_URL=runner_database.url,
        )
        assert done.returncode == 1
        assert b"belongs to the runner" in done.stderr
        assert b"PROMPTLOOPER_DATABASE_URL=sqlite:///NAME.db" in done.stderr
        assert done.stderr.count(b"\n") == 1
    assert runner_database.execute("SELECT * FROM experiments") == []


def test_an_empty_database_gets_the_tables_to_import_into(
    bare: Console, empty_database: Database
) -> None:
    done = bare.run(
        "import", "-", stdin=lines(EXPERIMENT, RUN), DATABASE_URL=empty_database.url
    )
    assert done.stderr == b"imported 1 experiment, 1 run\n"


def test_a_missing_file_becomes_a_database_to_import_into(bare: Console) -> None:
    done = bare.run("import", "-", stdin=lines(EXPERIMENT, RUN))
    assert done.stderr == b"imported 1 experiment, 1 run\n"
    assert (bare.directory / "promptlooper.db").exists()


def test_a_row_that_does_not_fit_is_named_and_nothing_is_imported(
    console: Console, database: Database
) -> None:
    never = {
        "sqlite": "CREATE TRIGGER never BEFORE INSERT ON scores WHEN new.value > 1"
        " BEGIN SELECT raise(ABORT, 'never'); END",
        "postgresql": "ALTER TABLE scores ADD CONSTRAINT never CHECK (value <= 1)",
    }
    database.execute(never[database.kind])
    id_ = str(UUID(int=7))
    odd = {**RUN, "id": id_, "scores": {"accuracy": 1.5}}
    source = lines(EXPERIMENT, RUN, {**RUN, "config": {}}, odd, {**RUN, "name": "last"})
    done = console.run("import", "-", stdin=source)
    assert done.returncode == 1
    assert re.match(
        rb"promptlooper-export: run %b: the database refuses it: .*never"
        % id_.encode(),
        done.stderr,
    )
    assert done.stderr.count(b"\n") == 1
    assert database.execute("SELECT * FROM experiments") == []


def test_no_source_is_a_usage_error(bare: Console) -> None:
    assert bare.run("import").returncode == 2


@on_sqlite
@pytest.mark.parametrize(
    ("experiment", "run", "said"),
    [
        (
            {},
            {"score": 1},
            (
                "results.ndjson:2: unknown member 'score'; did you mean "
                "scores?; import --lenient leaves it out"
            ),
        ),
        (
            {"direction": "min"},
            {},
            (
                "results.ndjson:1: unknown member 'direction'; did "
                "you mean scoring_config.direction?; import --lenient leaves it out"
            ),
        ),
        (
            {"zest": None},
            {},
            ("results.ndjson:1: unknown member 'zest'; import --lenient leaves it out"),
        ),
        (
            {"scoring_config": {"directions": {"cost": "minimse"}}},
            {},
            (
                "results.ndjson:1: The direction of 'cost', 'minimse', is neither "
                "maximize nor "
                "minimize; did you mean minimize?"
            ),
        ),
        (
            {"scoring_config": {"direction": "down"}},
            {},
            (
                "results.ndjson:1: The direction 'down' is neither maximize nor "
                "minimize; "
                "correct scoring_config.direction"
            ),
        ),
        (
            {"scoring_config": {"weights": {"cost": "2"}}},
            {},
            (
                "results.ndjson:1: The weight of 'cost' is not a finite number; "
                "correct "
                "scoring_config.weights.cost"
            ),
        ),
        (
            {"scoring_config": {"weights": [1]}},
            {},
            (
                "results.ndjson:1: scoring_config.weights is not an object of "
                "scorers and "
                "numbers; correct scoring_config.weights"
            ),
        ),
    ],
)
def test_what_could_choose_another_winner_unseen_refuses_the_file(
    console: Console,
    database: Database,
    experiment: dict[str, object],
    run: dict[str, object],
    said: str,
) -> None:
    file = lines(EXPERIMENT | experiment, RUN | run)
    (console.directory / "results.ndjson").write_bytes(file)
    done = console.run("import", "results.ndjson")
    assert done.stderr.decode() == f"promptlooper-export: {said}\n"
    assert done.returncode == 1
    assert database.execute("SELECT * FROM experiments") == []


@on_sqlite
def test_a_lenient_import_leaves_unknown_members_out_and_warns_of_each_once(
    console: Console, database: Database
) -> None:
    stage = {"stage_name": "judge", "model": "m"}
    given = lines(EXPERIMENT, {**RUN, "score": 1}, {**RUN, "score": 2, "x": 1},
                  {**RUN, "stage_results": [stage]})  # fmt: skip
    done = console.run("import", "-", "--lenient", stdin=given)
    assert done.stderr.decode().splitlines() == [
        (
            "warning: stdin:2: unknown member 'score' left out wherever it is; did "
            "you mean "
            "scores?"
        ),
        "warning: stdin:3: unknown member 'x' left out wherever it is",
        "warning: stdin:4: unknown member 'model' left out wherever it is",
        "imported 1 experiment, 3 runs",
    ]
    assert database.execute("SELECT stage_name FROM stage_results") == [("judge",)]
    # Leaving it out does not extend to rules that are not understood.
    wrong = {**EXPERIMENT, "scoring_config": {"direction": "down"}}
    assert console.run("import", "-", "--lenient", stdin=lines(wrong)).returncode == 1


@on_sqlite
def test_an_import_warns_of_rules_that_exports_will_warn_of(console: Console) -> None:
    rules = {"metric": {"goal": "minimize"}, "weights": {"accuracy": -1}}
    given = lines({**EXPERIMENT, "scoring_config": rules}, RUN)
    first, second, _ = console.run("import", "-", stdin=given).stderr.splitlines()
    assert first.startswith(b"warning: stdin:1: The member 'metric' of scoring_config")
    assert second.startswith(b"warning: stdin:1: The weight of 'accuracy' is negative")


def test_names_that_are_there_already_are_counted(
    console: Console, database: Database
) -> None:
    first = {**EXPERIMENT, "id": "00000000-0000-0000-0000-000000000001"}
    named = {**RUN, "name": "a"}
    done = console.run("import", "-", stdin=lines(first, named, RUN, RUN))
    assert done.stderr == b"imported 1 experiment, 3 runs\n"
    # Runs that are there already are no news, whatever their names.
    again = lines(first, named, named, {**RUN, "name": "b"}, EXPERIMENT, named)
    done = console.run("import", "-", stdin=again)
    assert done.stderr.decode().splitlines() == [
        (
            "warning: 1 experiment has a name that another experiment has already, "
            "such as 'summaries'"
        ),
        (
            "warning: 1 run has a name that another run of the experiment has already, "
            "such as 'a'"
        ),
        "imported 1 experiment, 3 runs (1 unchanged)",
    ]
    assert database.execute("SELECT count(*) FROM experiments") == [(2,)]


def test_times_that_a_file_does_not_have_stay_absent(console: Console) -> None:
    dated = {**RUN, "updated_at": "2026-01-02T03:04:05.678901Z"}
    console.run("import", "-", stdin=lines(EXPERIMENT, RUN, dated))
    export = ("export", "summaries", "-f", "ndjson", "-O", "header=1")
    file = console.run(*export).stdout
    experiment, *runs = map(json.loads, file.splitlines())
    assert experiment["created_at"] is experiment["updated_at"] is None
    times = ("created_at", "started_at", "finished_at")
    assert {run[name] for run in runs for name in times} == {None}
    assert {run["updated_at"] for run in runs} == {None, dated["updated_at"]}
    for name in ("json", "markdown", "csv"):
        done = console.run("export", "summaries", "-f", name)
        assert done.returncode == 0
        assert b"1970" not in done.stdout
    assert b"1970" not in console.run("list").stdout
    done = console.run("import", "--replace", "-", stdin=file)
    assert done.stderr == b"imported 1 experiment, 2 runs (1 replaced)\n"
    assert console.run(*export).stdout == file


def said_to_a_terminal(console: Console, path: Path) -> bytes:
    """Import a file, and return what a terminal is told."""
    leader, follower = os.openpty()
    subprocess.run(
        [COMMAND, "import", path.name],
        stderr=follower,
        cwd=console.directory,
        env=console.environ,
        check=True,
        timeout=60,
    )
    said = os.read(leader, 10_000)
    os.close(leader)
    os.close(follower)
    return said


@on_sqlite
def test_only_a_terminal_sees_the_runs_counted(console: Console) -> None:
    path = console.directory / "many.ndjson"
    path.write_bytes(lines(EXPERIMENT, *[RUN] * 1_234))
    assert said_to_a_terminal(console, path) == (
        b"%-35s\r%-35s\rimported 1 experiment, 1,234 runs\r\n"
        % (b"500 runs", b"1,000 runs")
    )
    piped = console.run("import", "--replace", path.name)
    assert piped.stderr == b"imported 1 experiment, 1,234 runs (1 replaced)\n"


@on_sqlite
def test_a_terminal_sees_how_much_of_a_storage_has_been_read(console: Console) -> None:
    path = unpacked(DATA / "optuna" / "storage.sqlite3.xz", console.directory)
    with closing(sqlite3.connect(path)) as storage:
        storage.execute(ADD_TRIALS)
        storage.commit()
    said = said_to_a_terminal(console, path)
    parts = [part.strip() for part in said.replace(b"\n", b"\r").split(b"\r")]
    assert parts[:2] == [b"500 of 1,200 runs (42%)", b"1,000 of 1,200 runs (83%)"]


@on_sqlite
def test_a_name_of_several_experiments_tells_them_apart(
    console: Console, database: Database
) -> None:
    older = {**EXPERIMENT, "created_at": "2026-01-02T03:04:05Z"}
    console.run("import", "-", stdin=lines(older, RUN, RUN))
    console.run("import", "-", stdin=lines({**EXPERIMENT, "description": "new"}, RUN))
    ((old,),) = database.execute("SELECT id FROM experiments WHERE description IS NULL")
    for arguments in (("export", "summaries"), ("delete", "summaries", "--yes")):
        done = console.run(*arguments)
        assert done.returncode == 2
        said = done.stderr.decode()
        assert "'summaries' matches 2 experiments: " in said
        assert f"{UUID(old)} (2 runs, created 2026-01-02 03:04)" in said
        assert said.endswith("). Use an id.\n")


def rows(database: Database) -> list[tuple[object, ...]]:
    return database.execute(
        "SELECT runs.id, config, status, scorer_name, value FROM runs "
        "JOIN scores ON run_id = runs.id ORDER BY runs.id, value"
    )
