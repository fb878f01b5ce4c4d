import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import experiment, run
from cli.console import Console, run_here
from databases import Database
from promptlooper_export.documents import Best
from promptlooper_export.registry import discover
from webservice import without_clock

FORMATS = discover().formats
BEST = [name for name, row in FORMATS.items() if row.document is Best]
LOSSLESS = ["file.ndjson", "file.parquet"]
on_sqlite = pytest.mark.parametrize("database_of_module", ["sqlite"], indirect=True)


@dataclass(frozen=True, kw_only=True)
class Exports:
    """An experiment in a database, and what was exported of it."""

    database: Database
    experiment: str
    directory: Path
    reproducible: Mapping[str, bytes]
    """Bodies by the name of the format."""

    def export(self, *arguments: str) -> bytes:
        return command("export", self.experiment, *arguments, url=self.database.url)


def command(*arguments: str, url: str | None = None) -> bytes:
    done = run_here(*arguments, url=url)
    assert done.exit_code == 0, done.stderr
    return done.stdout_bytes


@pytest.fixture(scope="module")
def exports(
    database_of_module: Database, tmp_path_factory: pytest.TempPathFactory
) -> Exports:
    """Export an experiment in every format, and in files of every lossless one."""
    record = experiment(
        run({"a": [0.1, 0.7], "b": 3}, config={"model": "é", "x": 1.0, "n": [2**60]}),
        run({"a": 0.5}, text='{"top_k": 12345678901234567890}', tags=["x"]),
        run({"a": 1}, status="failed", error="no\nanswer"),
        weights={"a": 2, "b": 0.25},
        name="summaries",
    )
    database_of_module.load(record)
    directory = tmp_path_factory.mktemp("exports")
    exports = Exports(
        database=database_of_module,
        experiment=str(record.id),
        directory=directory,
        reproducible={
            name: command(
                *("export", str(record.id), "-f", name, "--reproducible"),
                url=database_of_module.url,
            )
            for name in FORMATS
        },
    )
    for name, *options in (
        ("best.json",),
        ("file.ndjson", "-O", "header=1"),
        ("file.parquet",),
        ("plain.ndjson",),
    ):
        exports.export("-o", str(directory / name), *options)
    other = '{"type":"experiment","name":"other"}\n'
    (directory / "two.ndjson").write_bytes(
        (directory / "file.ndjson").read_bytes() + other.encode()
    )
    (directory / "broken.json").write_bytes((directory / "best.json").read_bytes()[:-3])
    return exports


@pytest.fixture
def files(bare: Console, exports: Exports) -> Console:
    """Give the command, without any setting, a copy of the files."""
    shutil.copytree(exports.directory, bare.directory, dirs_exist_ok=True)
    return bare


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", LOSSLESS)
def test_a_converted_file_has_the_bytes_of_an_export(
    exports: Exports, file: str, name: str
) -> None:
    path = str(exports.directory / file)
    converted = command("convert", path, "-f", name, "--reproducible")

    assert converted == exports.reproducible[name]


@on_sqlite
@pytest.mark.parametrize("name", BEST)
def test_a_best_config_is_converted_as_of_the_moment_of_its_export(
    exports: Exports, name: str
) -> None:
    file = exports.directory / "best.json"
    converted = command("convert", str(file), "-f", name)

    assert without_clock(converted) == without_clock(exports.export("-f", name))
    if name == "json":
        assert converted == file.read_bytes()


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("best.json", "-f", "csv"), 2, "header=1"),
        (("missing.ndjson", "-f", "csv"), 1, "missing.ndjson"),
        (("broken.json", "-f", "env"), 1, "incomplete"),
        (("two.ndjson", "-f", "env"), 2, "--experiment"),
        (("file.ndjson", "-f", "odt"), 2, "available"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_a_line(
    files: Console, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = files.run("convert", *arguments)

    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr.decode()
    assert not [*(files.directory.parent / "temporary").iterdir()]


@on_sqlite
def test_one_of_several_experiments_is_chosen(files: Console) -> None:
    done = files.run(
        "convert", "two.ndjson", "-o", "x.env", "--experiment", "summaries"
    )

    assert done.returncode == 0, done.stderr
    assert "MODEL=" in (files.directory / "x.env").read_text()


@on_sqlite
@pytest.mark.parametrize("name", ["json", "yaml", "toml"])
def test_a_whole_document_in_any_language_is_converted(
    exports: Exports, name: str
) -> None:
    file = exports.directory / f"whole.{name}"
    exports.export("-o", str(file))

    converted = command("convert", str(file), "-f", "env")

    assert without_clock(converted) == without_clock(exports.export("-f", "env"))


@on_sqlite
@pytest.mark.parametrize("target", ["json", "yaml", "toml", "env", "github-output"])
@pytest.mark.parametrize("name", ["json", "yaml", "toml"])
def test_a_config_alone_is_converted_without_naming_a_run(
    exports: Exports, name: str, target: str
) -> None:
    file = exports.directory / f"alone.{name}"
    exports.export("-o", str(file), "-O", "only=config")
    options = ("-O", "only=config") if target in {"json", "yaml", "toml"} else ()

    converted = command("convert", str(file), "-f", target, *options)

    exported = exports.export("-f", target, *options).decode().splitlines()
    named = ("# PromptLooper", "# Exported", "# Weighted score", "# Run ID")
    assert converted.decode().splitlines() == [
        line for line in exported if not line.startswith(named)
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("target", "said"),
    [("json", "only=config"), ("configmap", "whole document"), ("csv", "header=1")],
)
def test_what_must_name_a_run_is_not_made_of_a_config_alone(
    files: Console, target: str, said: str
) -> None:
    (files.directory / "alone.json").write_text('{"a": 1}')

    done = files.run("convert", "alone.json", "-f", target)

    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
