import hashlib
from pathlib import Path

import pytest

from cli.console import Console
from databases import Database
from webservice import SECRET

COMMANDS = (("migrate", "--dry-run"), ("doctor",), ("list",), ("index", "--dry-run"))


def files(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize("runner_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_a_runners_file_and_those_beside_it_stay_as_they_are(
    bare: Console,
    runner_database: Database,
    tmp_path: Path,
    mode: str,
    arguments: tuple[str, ...],
) -> None:
    runner_database.execute(f"PRAGMA journal_mode = {mode}")
    before = files(tmp_path)
    done = bare.run(*arguments, DATABASE_URL=runner_database.url, JWT_SECRET_KEY=SECRET)
    assert done.returncode == 0
    assert files(tmp_path) == before
    assert runner_database.execute("PRAGMA journal_mode") == [(mode,)]
