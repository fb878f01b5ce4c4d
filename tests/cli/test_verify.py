from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite, run_here
from databases import Database

NAMED = {
    "json": "x.json",
    "env": "x.env",
    "yaml": "x.yaml",
    "toml": "x.toml",
    "configmap": "map.yaml",
    "markdown": "x.md",
    "html": "x.html",
    "report-json": "x.report.json",
    "csv": "x.csv",
    "ndjson": "x.ndjson",
}


def summaries_in(database: Database) -> str:
    record = experiment(
        run({"accuracy": 0.75}, config={"model": {"name": "small", "heat": 0.5}}),
        run({"accuracy": 0.5}, config={"model": {"name": "large"}}),
        name="Exported: 2001-01-01T00:00:00Z",
        id=UUID("aaaaaaaa-0000-4000-8000-000000000001"),
    )
    database.load(record)
    return str(record.id)


@pytest.fixture
def summaries(database: Database) -> str:
    return summaries_in(database)


@pytest.fixture(scope="module")
def summaries_of_module(database_of_module: Database) -> str:
    return summaries_in(database_of_module)


@pytest.mark.parametrize(("name", "file"), NAMED.items())
def test_what_was_exported_is_verified_and_nothing_else(
    database_of_module: Database,
    summaries_of_module: str,
    tmp_path: Path,
    name: str,
    file: str,
) -> None:
    url, path = database_of_module.url, tmp_path / file
    run_here("export", summaries_of_module, "-f", name, "-o", str(path), url=url)
    whole = path.read_bytes()
    done = run_here("verify", str(path), url=url)
    assert done.exit_code == 0, done.stderr

    path.write_bytes(whole[:-1])
    done = run_here("verify", str(path), url=url)
    assert done.exit_code == 3
    assert f"truncated: {len(whole) - 1} of {len(whole)} bytes" in done.stderr

    path.write_bytes(whole.replace(b"small", b"smalL"))
    assert run_here("verify", str(path), url=url).exit_code == 3

    path.write_bytes(whole + b"\n")
    assert run_here("verify", str(path), url=url).exit_code == 3


@on_sqlite
def test_no_beginning_of_a_file_is_verified(console: Console, summaries: str) -> None:
    console.run("export", summaries, "-f", "env", "-o", "x.env")
    path = console.directory / "x.env"
    whole = path.read_bytes()

    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        done = console.run("verify", "--experiment", summaries, "x.env")
        assert done.returncode == 3, length


@on_sqlite
def test_an_altered_value_is_shown(console: Console, summaries: str) -> None:
    console.run("export", summaries, "-f", "yaml", "-o", "x.yaml")
    path = console.directory / "x.yaml"
    path.write_text(path.read_text().replace("heat: 0.5", "heat: 0.7"))

    done = console.run("verify", "x.yaml")

    assert (done.returncode, done.stdout) == (3, b"~ model.heat: 0.7 -> 0.5\n")
    assert b"was changed: 1 difference" in done.stderr


@on_sqlite
def test_a_file_of_another_winner_is_said_to_be_one(
    console: Console, summaries: str, database: Database
) -> None:
    console.run("export", summaries, "-f", "yaml", "-o", "x.yaml")
    database.execute("UPDATE scores SET value = 0.9 WHERE value = 0.5")

    done = console.run("verify", "x.yaml")

    assert done.returncode == 3
    assert b"from another run than the best one now" in done.stderr


@on_sqlite
def test_the_options_of_the_export_are_those_of_the_verification(
    console: Console, summaries: str
) -> None:
    made = ("-O", "dialect=node", "-O", "prefix=APP_")
    console.run("export", summaries, "-f", "env", "-o", "x.env", *made)
    assert console.run("verify", "x.env", *made).returncode == 0
    done = console.run("verify", "x.env")
    assert done.returncode == 3

    console.run("export", summaries, "-o", "x.csv", "--limit", "1")
    assert console.run("verify", "x.csv", "--limit", "1").returncode == 0
    assert console.run("verify", "x.csv").returncode == 3


def test_a_digest_needs_no_database(bare: Console) -> None:
    file = bare.directory / "any.thing"
    file.write_bytes(b"what came")
    digest = sha256(b"what came")
    field = f"sha-256=:{b64encode(digest.digest()).decode()}:"

    for given in (field, digest.hexdigest(), f"sha256:{digest.hexdigest().upper()}"):
        assert bare.run("verify", "any.thing", "--digest", given).returncode == 0
    file.write_bytes(b"what cam")
    for given in (field, digest.hexdigest()):
        assert bare.run("verify", "any.thing", "--digest", given).returncode == 3
    assert bare.run("verify", "any.thing", "--digest", "abc").returncode == 2


def test_without_a_database_nothing_is_verified(bare: Console) -> None:
    (bare.directory / "x.json").write_text("{}\n")
    done = bare.run("verify", "x.json")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["json", "yaml", "toml"])
def test_the_config_alone_is_verified_without_saying_so(
    database_of_module: Database, summaries_of_module: str, tmp_path: Path, name: str
) -> None:
    url, path = database_of_module.url, tmp_path / f"x.{name}"
    known = ("--experiment", summaries_of_module)
    run_here(
        *("export", summaries_of_module, "-o", str(path), "-O", "only=config"), url=url
    )
    done = run_here("verify", str(path), *known, url=url)
    assert done.exit_code == 0, done.stderr

    path.write_text(path.read_text().replace("small", "smalL"))
    done = run_here("verify", str(path), *known, url=url)
    assert done.exit_code == 3
    assert "1 difference" in done.stderr
