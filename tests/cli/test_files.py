"""The files that commands read and write: their names, and how they are written."""

import json
import os
import pty
import subprocess

import pytest

from builders import experiment, run
from cli.console import COMMAND, Console, on_sqlite
from databases import Database

pytestmark = on_sqlite

# Root may write everywhere, unless these two capabilities are taken away.
DENIED = "-dac_override,-dac_read_search"
AS_ANYONE = (
    ["setpriv", "--bounding-set", DENIED, "--inh-caps", DENIED]
    if os.geteuid() == 0
    else []
)


@pytest.fixture
def rockets(console: Console, database: Database) -> Console:
    """Load an experiment whose name and config hold a rocket."""
    database.load(experiment(run({"a": 1}, config={"p": "🚀"}), name="Answers 🚀"))
    return console


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        (("-f", "json"), 0o644),
        (("-f", "json", "--unredacted"), 0o600),
        (("-f", "secret"), 0o600),
    ],
)
def test_a_new_file_with_secrets_is_for_its_owner_only(
    rockets: Console, arguments: tuple[str, ...], mode: int
) -> None:
    file = rockets.directory / "written"
    for _ in range(2):  # the second time, it is there already
        rockets.run("export", "Answers", *arguments, "-o", "written")
        assert file.stat().st_mode & 0o777 == mode
    file.chmod(0o640)
    rockets.run("export", "Answers", *arguments, "-o", "written")
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("file", "beginning"),
    [
        ("best.yml", b"# PromptLooper"),
        ("runs.jsonl", b'{"'),
        (".env.production", b"# PromptLooper"),
        ("production.env", b"# PromptLooper"),
        ("terraform.tfvars.json", b'{\n  "p": '),
        ("x.auto.tfvars.json", b'{\n  "p": '),
        ("best.json", b'{\n  "experiment_name": '),
    ],
)
def test_a_file_gets_the_format_that_its_name_stands_for(
    rockets: Console, file: str, beginning: bytes
) -> None:
    done = rockets.run("export", "Answers", "-o", file)

    assert done.returncode == 0, done.stderr
    assert (rockets.directory / file).read_bytes().startswith(beginning)
    if file != "runs.jsonl":
        assert rockets.run("diff", file, "Answers").returncode == 0


def test_what_was_written_is_said_in_a_line(rockets: Console) -> None:
    done = rockets.run("export", "Answers", "-o", "best.json")

    size = (rockets.directory / "best.json").stat().st_size
    assert done.stderr == f"wrote best.json ({size} bytes, json)\n".encode()


def test_a_folder_named_like_the_experiment_is_not_taken_for_a_file(
    console: Console, database: Database
) -> None:
    database.load(experiment(run({"a": 1}, config={"a": 1}), name="summaries"))
    (console.directory / "summaries").mkdir()
    (console.directory / ".env").write_text("A=1\n")

    for pair in ((".env", "summaries"), ("summaries", ".env")):
        done = console.run("diff", *pair)
        assert (done.returncode, done.stdout) == (0, b""), done


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_output_that_is_not_utf_8_breaks_no_command(
    rockets: Console, encoding: str
) -> None:
    (rockets.directory / "a.json").write_text('{"p": "x 🚀"}')
    rockets.environ["PYTHONIOENCODING"] = encoding

    for arguments, code in (
        (["list"], 0),
        (["diff", "a.json", "Answers 🚀"], 3),
        (["export", "Answers 🚀", "-o", "🚀.json"], 0),
    ):
        with rockets.start(*arguments) as running:
            stdout, stderr = running.communicate(timeout=60)
        assert running.returncode == code, stderr
        assert b"Traceback" not in stderr
        # Click takes ASCII for a mistake, and writes UTF-8.
        assert ("🚀".encode() in stdout + stderr) == (encoding == "ascii")
        assert (b"\\U0001f680" in stdout + stderr) == (encoding != "ascii")


def test_a_file_in_a_folder_that_takes_no_new_files_is_written_in_place(
    rockets: Console,
) -> None:
    folder = rockets.directory / "folder"
    folder.mkdir()
    file = folder / "best.json"
    file.write_text("old" * 1_000)
    identity = file.stat().st_ino
    folder.chmod(0o555)
    try:
        done = as_anyone(rockets, "export", "Answers", "-o", "folder/best.json")
        assert done.returncode == 0, done.stderr
        assert file.stat().st_ino == identity
        assert json.loads(file.read_bytes())["config"] == {"p": "🚀"}

        done = as_anyone(rockets, "export", "Answers", "-o", "folder/new.json")
        assert (done.returncode, done.stderr) == (
            1,
            b"promptlooper-export: folder/new.json: Permission denied\n",
        )
        file.chmod(0o444)
        done = as_anyone(rockets, "export", "Answers", "-o", "folder/best.json")
        assert done.returncode == 1
        assert b": folder/best.json: Permission denied\n" in done.stderr
        assert list(folder.iterdir()) == [file]
    finally:
        folder.chmod(0o755)


def as_anyone(console: Console, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with the rights of an ordinary owner of the files."""
    return subprocess.run(
        [*AS_ANYONE, COMMAND, *arguments],
        capture_output=True,
        cwd=console.directory,
        env=console.environ,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", ["parquet", "arrow", "xlsx"])
def test_binary_formats_are_not_poured_onto_a_terminal(
    rockets: Console, name: str
) -> None:
    code, shown = on_a_terminal(rockets, "export", "Answers", "-f", name)

    assert code == 2
    assert shown == (
        f"promptlooper-export: {name} is binary; write it to a file: -o FILE\r\n"
    )


def test_text_is_written_to_a_terminal(rockets: Console) -> None:
    code, shown = on_a_terminal(rockets, "export", "Answers", "-f", "json")

    assert code == 0
    assert json.loads(shown)["config"] == {"p": "🚀"}


def on_a_terminal(console: Console, *arguments: str) -> tuple[int, str]:
    """Return the command's exit code, and what its terminal shows."""
    ours, its = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [COMMAND, *arguments],
            stdout=its,
            stderr=its,
            cwd=console.directory,
            env=console.environ,
            check=False,
            timeout=60,
        )
        # What was written waits in the terminal; a mark ends it.
        os.write(its, b"\0")
        os.close(its)
        shown = bytearray()
        while not shown.endswith(b"\0"):
            shown += terminal.read(1 << 16)
    return done.returncode, shown[:-1].decode()
