from builders import experiment, run
from cli.console import Console
from databases import Database


def test_folding_leaves_nothing_to_fold(console: Console, database: Database) -> None:
    database.load(experiment(run({"accuracy": 0.9}), run({"accuracy": 0.8})))
    done = console.run("fold")
    assert done.returncode == 0
    assert done.stderr.startswith(b"folded ")
    assert database.execute("SELECT count(*) FROM export_ranking_log") == [(0,)]
    assert console.run("fold").stderr == b"folded 0 changes\n"
