"""`export --partition`: a folder of Parquet files, read as one table."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import fsspec
import pytest
from click.testing import Result
from pyarrow import parquet

from builders import experiment, run
from cli.console import on_sqlite, run_here
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord

FIRST, SECOND = (UUID(int=number, version=4) for number in (1, 2))
FILE = "promptlooper-runs.parquet"
JANUARY = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, 0, 1, tzinfo=UTC)

Export = Callable[..., Result]


def chunking(score: float = 0.5) -> ExperimentRecord:
    return experiment(
        run({"recall": score}, config={"k": 4}, created_at=JANUARY),
        run({"recall": 0.75}, config={"k": 8}, created_at=FEBRUARY),
        run({"recall": 0.25}, config={"k": 2}, created_at=FEBRUARY),
        name="chunking",
        id=FIRST,
    )


def prompts() -> ExperimentRecord:
    return experiment(
        run(
            {"tone": 1},
            config={"k": 0.5, "model": "small"},
            status="failed",
            created_at=FEBRUARY,
        ),
        name="prompts",
        id=SECOND,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def export(database: Database, folder: Path) -> Export:
    """Export the database into the folder, with further arguments."""

    def export(*arguments: str, by: str = "experiment") -> Result:
        output = ("--partition", by, "-o", str(folder))
        return run_here("export", *output, *arguments, url=database.url)

    return export


def files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def rows(source: str, columns: str = "*") -> list[dict[str, Any]]:
    """Read what DuckDB reads, as rows ordered by their ids."""
    found = duckdb.connect().execute(f"SELECT {columns} FROM {source} ORDER BY run_id")
    names = [name for name, *_ in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def dataset(folder: Path) -> str:
    return f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"


@pytest.mark.parametrize("by", ["experiment", "day"])
def test_it_is_one_table_with_the_rows_of_every_single_export(
    export: Export, database: Database, folder: Path, tmp_path: Path, by: str
) -> None:
    database.load(chunking(), prompts())
    for name in ("chunking", "prompts"):
        single = str(tmp_path / f"{name}.parquet")
        assert run_here("export", name, "-o", single, url=database.url).exit_code == 0

    done = export(by=by)

    assert done.exit_code == 0, done.stderr
    together = rows(dataset(folder))
    keys = [(row.pop("experiment"), row.pop("day", None)) for row in together]
    days = {moment.date() for moment in (JANUARY, FEBRUARY)}
    assert {key for key, _ in keys} == {str(FIRST), str(SECOND)}
    assert {day for _, day in keys} == (days if by == "day" else {None})
    assert together == rows(
        f"read_parquet('{tmp_path}/*.parquet', union_by_name = true)"
    )


def test_every_file_has_the_same_columns_with_the_same_types(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking(), prompts())

    export()

    shapes = [parquet.read_schema(file) for file in folder.rglob("*.parquet")]
    assert len(shapes) == 2
    assert shapes[0].equals(shapes[1])
    assert str(shapes[0].field("config.k").type) == "double"


def test_runs_without_a_time_have_no_day(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking())
    database.execute(
        "UPDATE runs SET created_at = NULL WHERE CAST(config AS TEXT) LIKE '%8%'"
    )

    export(by="day")

    found = rows(dataset(folder), 'run_id, day, "config.k" AS k')
    assert {row["k"]: row["day"] and row["day"].month for row in found} == {
        4: 1,
        2: 2,
        8: None,
    }


def test_the_manifest_has_the_digest_and_the_rows_of_every_file(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking(), prompts())

    export()

    found = files(folder)
    manifest = json.loads(found.pop("_manifest.json"))
    assert manifest["rows"] == 4
    assert [(entry["experiment"], entry["rows"]) for entry in manifest["files"]] == [
        (str(FIRST), 3),
        (str(SECOND), 1),
    ]
    assert {entry["path"]: entry["sha256"] for entry in manifest["files"]} == {
        path: sha256(body).hexdigest() for path, body in found.items()
    }
    assert {entry["path"]: entry["bytes"] for entry in manifest["files"]} == {
        path: len(body) for path, body in found.items()
    }


@on_sqlite
def test_a_second_run_writes_only_what_has_changed(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking(), prompts())
    export()
    before = files(folder)
    written = {path: (folder / path).stat().st_ino for path in before}

    database.replace(chunking(score=0.9))
    done = export()

    assert "2 files: 1 written, 1 unchanged; 0 removed" in done.stderr
    changed, same = (f"experiment={key}/{FILE}" for key in (FIRST, SECOND))
    after = files(folder)
    assert after[changed] != before[changed]
    assert after[same] == before[same]
    assert (folder / same).stat().st_ino == written[same]


@on_sqlite
def test_what_is_gone_is_removed_and_files_of_others_stay(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking(), prompts())
    export()
    foreign = [
        "notes.txt",
        f"experiment={SECOND}/notes.txt",
        "experiment=mine/promptlooper-runs.parquet",
        f"archive/experiment={SECOND}/{FILE}",
    ]
    for path in foreign:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("mine")

    done = export("chunking")

    assert "1 removed" in done.stderr
    assert set(files(folder)) == {
        "_manifest.json", f"experiment={FIRST}/{FILE}", *foreign
    }  # fmt: skip


@on_sqlite
def test_a_run_that_failed_leaves_whole_files_and_the_next_one_goes_on(
    export: Export, database: Database, folder: Path
) -> None:
    unwritable = experiment(run(text='{"text": "\\ud800"}'), name="broken", id=SECOND)
    database.load(chunking(), unwritable)

    failed = export()

    assert failed.exit_code != 0
    assert f"Experiment {SECOND}: config.text: a lone surrogate" in failed.stderr
    assert list(files(folder)) == [f"experiment={FIRST}/{FILE}"]

    database.execute(
        """UPDATE runs SET config = '{"text": "fine"}' WHERE config LIKE '%ud800%'"""
    )
    done = export()

    assert "2 files: 1 written, 1 unchanged" in done.stderr
    assert set(files(folder)) == {
        "_manifest.json", *(f"experiment={key}/{FILE}" for key in (FIRST, SECOND))
    }  # fmt: skip


@on_sqlite
def test_a_damaged_file_is_written_again(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking())
    export()
    before = files(folder)
    (folder / f"experiment={FIRST}/{FILE}").write_bytes(b"PAR1")

    done = export()

    assert "1 written" in done.stderr
    assert files(folder) == before


@on_sqlite
def test_secrets_are_redacted_unless_asked_for_and_then_only_the_owner_reads(
    export: Export, database: Database, folder: Path
) -> None:
    config: JSON = {"api_key": "abc123def456"}
    database.load(experiment(run(config=config), name="hidden"))

    done = export()

    assert done.stderr.count("warning: api_key: A secret was left out") == 1
    (row,) = rows(dataset(folder))
    assert row["config.api_key"] == "[redacted]"

    done = run_here(
        "export", "--partition", "day", "-o", str(folder / "whole"), "--unredacted",
        url=database.url,
    )  # fmt: skip

    (row,) = rows(dataset(folder / "whole"))
    assert row["config.api_key"] == "abc123def456"
    found = [file for file in (folder / "whole").rglob("*") if file.is_file()]
    assert {file.stat().st_mode & 0o777 for file in found} == {0o600}


@on_sqlite
def test_a_folder_with_another_dataset_is_refused(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(chunking())
    export()
    before = files(folder)

    done = export(by="day")

    assert done.exit_code == 2
    assert "_manifest.json is not that of a dataset by day" in done.stderr
    assert files(folder) == before


@on_sqlite
def test_a_database_without_experiments_gives_an_empty_dataset(
    export: Export, folder: Path
) -> None:
    assert export().exit_code == 0
    assert list(files(folder)) == ["_manifest.json"]


def test_all_experiments_of_a_file_are_exported(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "search.ndjson"
    lines = [
        {"type": "experiment", "name": "one"},
        {"type": "run", "config": {"k": 4}, "scores": {"recall": 0.75}},
        {"type": "experiment", "name": "two"},
        {"type": "run", "config": {"k": 8}, "scores": {"recall": 0.5}},
    ]
    source.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    output = ("--partition", "experiment", "-o", str(folder))

    done = run_here("export", str(source), *output)

    assert done.exit_code == 0, done.stderr
    assert {row["config.k"] for row in rows(dataset(folder))} == {4, 8}

    run_here("export", str(source), "--experiment", "two", *output)

    assert {row["config.k"] for row in rows(dataset(folder))} == {8}


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-f", "csv", "-o", "x"], "--partition writes parquet"),
        (["-O", "raw=1", "-o", "x"], "--partition writes parquet"),
        ([], "-o FOLDER"),
        (["-o", "x", "--limit", "1"], "omit --limit and --after"),
        (["-o", "x", "--strict"], "--strict is for a single export"),
        (["-o", "x", "--experiment", "y"], "--experiment is for files"),
        (["-o", "x", "--top-n", "3"], "--top-n is for reports"),
    ],
)
def test_what_a_dataset_cannot_have_is_a_usage_error(
    database: Database, arguments: list[str], reason: str
) -> None:
    done = run_here("export", "--partition", "day", *arguments, url=database.url)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_several_experiments_need_a_partition() -> None:
    for names in ((), ("one", "two")):
        done = run_here("export", *names)
        assert done.exit_code == 2
        assert "--partition" in done.stderr


def wide(name: str) -> ExperimentRecord:
    config: JSON = {f"{name} {number}": number for number in range(5001)}
    return experiment(run(config=config), name=name)


@on_sqlite
def test_too_many_columns_together_are_refused(
    export: Export, database: Database, folder: Path
) -> None:
    database.load(wide("one"), wide("two"))

    done = export()

    assert done.exit_code != 0
    assert "Together, the experiments have too many" in done.stderr
    assert files(folder) == {}


@on_sqlite
def test_a_dataset_at_an_address_is_kept_up_to_date_as_well(
    export: Export, database: Database, folder: Path
) -> None:
    address = f"memory://{uuid4()}"
    output = ("--partition", "experiment", "-o", address)
    filesystem = fsspec.filesystem("memory")
    foreign = f"{address}/experiment={SECOND}/notes.txt"
    filesystem.pipe(foreign, b"mine")
    database.load(chunking(), prompts())
    export()

    done = run_here("export", *output, url=database.url)

    assert "2 files: 2 written, 0 unchanged; 0 removed" in done.stderr
    root = f"{address.removeprefix('memory:/')}/"
    found = {
        path.removeprefix(root): filesystem.cat_file(path)
        for path in filesystem.find(address)
    }
    assert found.pop(f"experiment={SECOND}/notes.txt") == b"mine"
    assert found == files(folder)

    database.replace(chunking(score=0.9))
    done = run_here("export", *output, url=database.url)

    assert "2 files: 1 written, 1 unchanged; 0 removed" in done.stderr

    done = run_here("export", "prompts", *output, url=database.url)

    assert "1 removed" in done.stderr
    assert not filesystem.exists(f"{address}/experiment={FIRST}/{FILE}")
    assert filesystem.cat(foreign) == b"mine"
