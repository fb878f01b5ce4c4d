"""Fixtures: the installed command in an empty directory."""

import os
import secrets
from pathlib import Path

import pytest

from cli.console import COMMAND, Console
from databases import Database


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
