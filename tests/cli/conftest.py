"""The installed command, in an empty directory and with a bare environment."""

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from databases import Database

COMMAND = Path(sys.executable).with_name("promptlooper-export")


@dataclass(frozen=True, kw_only=True)
class Console:
    """Runs the command as a user does; `environ` holds its settings."""

    directory: Path
    environ: dict[str, str]

    def __call__(
        self, *arguments: str, stdin: bytes = b"", **settings: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command to its end; keywords are settings without their prefix."""
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env=self.environment(**settings),
            check=False,
            timeout=60,
        )

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start the command and leave it running."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=self.environment(**settings),
        )

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the whole environment of the command."""
        added = {f"PROMPTLOOPER_{name}": value for name, value in settings.items()}
        return self.environ | added


@pytest.fixture
def bare(tmp_path: Path) -> Console:
    """Give the command without any setting."""
    directory = tmp_path / "here"
    temporary = tmp_path / "temporary"
    directory.mkdir()
    temporary.mkdir()
    environ = {
        "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TMPDIR": str(temporary),
    }
    return Console(directory=directory, environ=environ)


@pytest.fixture
def console(bare: Console, database: Database) -> Console:
    """Give the command with a secret and a migrated database of each kind."""
    environ = bare.environment(
        DATABASE_URL=database.url, JWT_SECRET_KEY=secrets.token_hex(32)
    )
    return Console(directory=bare.directory, environ=environ)
