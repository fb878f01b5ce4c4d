"""Run the installed command as a user does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import forked
from promptlooper_export.cli.main import promptlooper_export

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""

COMMAND = Path(sys.executable).with_name("promptlooper-export")


@dataclass(frozen=True, kw_only=True)
class Console:
    """A directory and an environment to run the command in."""

    directory: Path
    environ: dict[str, str]

    def run(
        self, *arguments: str, stdin: bytes = b"", **settings: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command to its end; keywords are settings without their prefix."""
        env = self.environment(**settings)
        # Where Python looks for modules is settled before a fork can be told.
        if "PYTHONPATH" not in env:
            return forked.run(*arguments, stdin=stdin, cwd=self.directory, env=env)
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env=env,
            check=False,
            timeout=60,
        )

    @contextmanager
    def start(
        self, *arguments: str, **settings: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Leave the command running for the length of the block."""
        with subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=self.environment(**settings),
        ) as running:
            try:
                yield running
            finally:
                if running.poll() is None:
                    running.kill()

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the whole environment of the command."""
        added = {f"PROMPTLOOPER_{name}": value for name, value in settings.items()}
        return self.environ | added


def run_here(*arguments: str, url: str | None = None) -> Result:
    """Run the command in this process; without a URL, no database is known to it.

    For what depends on neither the directory nor the process, and is asked often.
    """
    return CliRunner().invoke(
        promptlooper_export, arguments, env={"PROMPTLOOPER_DATABASE_URL": url}
    )
