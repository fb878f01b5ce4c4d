"""What a third-party format reads, it reads in a process of its own."""

import json
from pathlib import Path

import pytest

import plugins
from cli.console import Console, on_sqlite

MODULES = {
    "pairs": """
import json
def read(data):
    return json.loads(data)
FORMAT = declare("pairs", lambda best: json.dumps(best.config).encode(), read=read,
                 extension="pairs")
""",
    "curious": """
import os
from pathlib import Path
def read(data):
    given = Path("/proc/self/environ").read_text().split(chr(0))
    names = [*os.environ, *(row.partition("=")[0] for row in given)]
    raise ValueError(" ".join(names))
FORMAT = declare("curious", lambda best: b"", read=read)
""",
    "hanging": """
import time
def read(data):
    time.sleep(600)
FORMAT = declare("hanging", lambda best: b"", read=read)
""",
    "crashing": """
def read(data):
    raise KeyError("no such thing")
FORMAT = declare("crashing", lambda best: b"", read=read)
""",
    "listing": """
FORMAT = declare("listing", lambda best: b"", read=lambda data: [1])
""",
    "infinite": """
FORMAT = declare("infinite", lambda best: b"", read=lambda data: {"a": float("inf")})
""",
}

pytestmark = on_sqlite


@pytest.fixture
def installed(console: Console, tmp_path: Path) -> Console:
    plugins.install(tmp_path / "site", MODULES)
    (console.directory / "one").write_text('{"temperature": 0.5, "seed": 7}')
    (console.directory / "other").write_text('{"temperature": 0.75, "seed": 7}')
    environ = console.environ | {"PYTHONPATH": str(tmp_path / "site")}
    return Console(directory=console.directory, environ=environ)


def test_two_files_are_compared(installed: Console) -> None:
    done = installed.run("diff", "one", "other", "--from", "pairs", "--json")

    assert done.returncode == 3, done.stderr
    (change,) = json.loads(done.stdout)
    assert (change["path"], change["old"], change["new"]) == ("temperature", 0.5, 0.75)


def test_an_invalid_file_is_named(installed: Console) -> None:
    (installed.directory / "other").write_text("{")

    done = installed.run("diff", "one", "other", "--from", "pairs")

    assert done.returncode == 1
    assert b"other is not a Pairs file, or is incomplete: Expecting" in done.stderr


def test_the_environment_of_the_command_is_not_seen(installed: Console) -> None:
    done = installed.run(
        "diff", "one", "other", "--from", "curious", JWT_SECRET_KEY="k" * 32
    )

    assert b" PATH" in done.stderr
    assert b"PROMPTLOOPER" not in done.stderr


def test_a_reading_that_does_not_end_is_ended(installed: Console) -> None:
    done = installed.run(
        "diff", "one", "other", "--from", "hanging", RENDER_TIMEOUT="1"
    )

    assert done.returncode == 1
    assert b"PROMPTLOOPER_RENDER_TIMEOUT" in done.stderr


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("crashing", b"The format 'crashing' failed: KeyError."),
        ("listing", b"The format 'listing' failed: "),
        ("infinite", b"The format 'infinite' failed: what it read is not JSON"),
    ],
)
def test_what_goes_wrong_there_is_one_line(
    installed: Console, kind: str, reason: bytes
) -> None:
    done = installed.run("diff", "one", "other", "--from", kind)

    assert done.returncode == 1
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr
