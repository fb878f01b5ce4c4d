import re

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export.documents import Best
from promptlooper_export.registry import discover

FORMATS = discover().formats
BEST = [name for name, row in FORMATS.items() if row.document is Best]
LOSSLESS = ["file.ndjson", "file.parquet"]
MOMENT = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(Z| UTC)?")


@pytest.fixture
def summaries(database: Database) -> str:
    record = experiment(
        run({"a": [0.1, 0.7], "b": 3}, config={"model": "é", "x": 1.0, "n": [2**60]}),
        run({"a": 0.5}, text='{"top_k": 12345678901234567890}', tags=["x"]),
        run({"a": 1}, status="failed", error="no\nanswer"),
        weights={"a": 2, "b": 0.25},
        name="summaries",
    )
    database.load(record)
    return str(record.id)


@pytest.fixture
def files(console: Console, summaries: str) -> Console:
    """Export the experiment in every lossless form, and leave the database."""
    for arguments in (
        ("-o", "best.json"),
        ("-o", "file.ndjson", "-O", "header=1"),
        ("-o", "file.parquet"),
        ("-o", "plain.ndjson"),
    ):
        assert console.run("export", summaries, *arguments).returncode == 0
    return Console(
        directory=console.directory,
        environ={
            name: value
            for name, value in console.environ.items()
            if not name.startswith("PROMPTLOOPER_")
        },
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", LOSSLESS)
def test_a_converted_file_has_the_bytes_of_an_export(
    files: Console, console: Console, summaries: str, file: str, name: str
) -> None:
    exported = console.run("export", summaries, "-f", name, "--reproducible")
    converted = files.run("convert", file, "-f", name, "--reproducible")

    assert converted.returncode == 0, converted.stderr
    assert converted.stdout == exported.stdout


@on_sqlite
@pytest.mark.parametrize("name", BEST)
def test_a_best_config_is_converted_as_of_the_moment_of_its_export(
    files: Console, console: Console, summaries: str, name: str
) -> None:
    exported = console.run("export", summaries, "-f", name)
    converted = files.run("convert", "best.json", "-f", name)

    assert converted.returncode == 0, converted.stderr
    assert MOMENT.sub(b"", converted.stdout) == MOMENT.sub(b"", exported.stdout)
    if name == "json":
        file = console.directory / "best.json"
        assert converted.stdout == file.read_bytes()


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("best.json", "-f", "csv"), 2, "header=1"),
        (("plain.ndjson", "-f", "csv"), 1, "header=1"),
        (("missing.ndjson", "-f", "csv"), 1, "missing.ndjson"),
        (("broken.json", "-f", "env"), 1, "not whole"),
        (("two.ndjson", "-f", "env"), 2, "--experiment"),
        (("file.ndjson", "-f", "odt"), 2, "available"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_a_line(
    files: Console, arguments: tuple[str, ...], code: int, said: str
) -> None:
    here = files.directory
    whole = (here / "best.json").read_bytes()
    (here / "broken.json").write_bytes(whole[:-3])
    other = (here / "file.ndjson").read_text()
    (here / "two.ndjson").write_text(other + '{"type":"experiment","name":"other"}\n')

    done = files.run("convert", *arguments)

    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr.decode()
    assert not [*(here.parent / "temporary").iterdir()]


@on_sqlite
def test_one_of_several_experiments_is_chosen(files: Console) -> None:
    whole = (files.directory / "file.ndjson").read_text()
    two = files.directory / "two.ndjson"
    two.write_text(whole + '{"type":"experiment","name":"other"}\n')

    done = files.run(
        "convert", "two.ndjson", "-o", "x.env", "--experiment", "summaries"
    )

    assert done.returncode == 0, done.stderr
    assert "MODEL=" in (files.directory / "x.env").read_text()
