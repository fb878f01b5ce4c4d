"""Real readers of .env files, each in a directory where nothing else may appear."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv import dotenv_values

FILE = "best.env"

# What shells set by themselves, and the one variable that they are started with.
OWN = {"_", "LC_ALL", "OLDPWD", "PWD", "SHLVL"}

Variables = Mapping[str, str | None]


def shell(program: str) -> Callable[[Path], Variables]:
    """Return a reader that sources the file and gives what programs then inherit."""

    def read(file: Path) -> Variables:
        done = subprocess.run(
            [program, "-c", f"set -a; . ./{file.name}; exec /usr/bin/env -0"],
            cwd=file.parent,
            env={"LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
        )
        lines = done.stdout.decode().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    return read


READERS: dict[str, Callable[[Path], Variables]] = {
    "bash": shell("bash"),
    "dash": shell("dash"),
    "python-dotenv": lambda file: dotenv_values(file, interpolate=False),
    "python-dotenv, interpolating": dotenv_values,
}

# The warnings that excuse a reader.
EXCUSES = {
    "bash": {"key-with-a-meaning", "too-long-to-export"},
    "dash": {"key-with-a-meaning", "too-long-to-export"},
    "python-dotenv": {"reader-dependent", "carriage-return"},
    "python-dotenv, interpolating": {
        "reader-dependent",
        "carriage-return",
        "expansion",
    },
}


def read(reader: str, body: bytes) -> Variables:
    """Read a file; fail where reading it did anything else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        file.write_bytes(body)
        variables = READERS[reader](file)
        assert [path.name for path in Path(folder).iterdir()] == [FILE]
    return variables
