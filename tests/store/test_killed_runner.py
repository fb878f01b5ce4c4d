"""What a runner leaves that dies in the middle of a transaction is not read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from killed import die_after
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
def test_a_killed_runner_leaves_what_was_committed_last(
    tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "runs.db"
    database = Database(kind="sqlite", url=f"sqlite:///{file}")
    migrate(database.url, create=True)
    database.execute(f"PRAGMA journal_mode = {mode}")
    loaded = experiment(run({"a": 0.5}))
    database.load(loaded)
    with closing(open_store(database.url)) as store:

        def score() -> float:
            with store.snapshot(OPERATOR) as moment:
                return moment.best(loaded.id).weighted_score

        assert score() == 0.5
        die_after("UPDATE scores SET value = 9", file)
        before = sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir())
        assert [score(), score()] == [0.5, 0.5]
        if mode != "wal":  # whose files change when any program opens them
            after = sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir())
            assert after == before
        with closing(sqlite3.connect(file)) as runner:
            runner.execute("UPDATE scores SET value = 0.75")
            runner.commit()
        assert score() == 0.75
