import json
from datetime import UTC, datetime, timedelta

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database


def test_experiments_are_listed_newest_first_in_columns(
    console: Console, database: Database
) -> None:
    old = experiment(
        run(), run(), name="old", created_at=datetime(2025, 1, 1, tzinfo=UTC)
    )
    new = experiment(name="newer", status="running")
    database.load(old, new)
    done = console.run("list")
    assert [line.split()[:4] for line in done.stdout.decode().splitlines()] == [
        ["ID", "NAME", "STATUS", "RUNS"],
        [str(new.id), "newer", "running", "0"],
        [str(old.id), "old", "completed", "2"],
    ]
    assert done.returncode == 0


def test_each_experiment_has_its_winner_and_age(
    console: Console, database: Database
) -> None:
    winner = run({"accuracy": 0.75})
    old = experiment(
        run({"accuracy": 0.5}),
        winner,
        name="old",
        created_at=datetime.now(UTC) - timedelta(days=3, hours=5),
    )
    new = experiment(name="new", created_at=datetime.now(UTC) - timedelta(hours=2))
    database.load(old, new)
    shown = console.run("list").stdout.decode().splitlines()
    columns = f"{'ID':36}  NAME  STATUS     RUNS  WINNER    SCORE   AGE"
    assert shown == [
        columns,
        f"{new.id}  new   completed  0                       2 h",
        f"{old.id}  old   completed  2     {str(winner.id)[:8]}  0.7500  3 d",
    ]
    listed = json.loads(console.run("list", "--json").stdout)
    assert [row["winner"] for row in listed] == [
        None,
        {"run_id": str(winner.id), "weighted_score": 0.75},
    ]


@on_sqlite
def test_the_list_can_be_json(console: Console, database: Database) -> None:
    made = datetime(2025, 1, 1, tzinfo=UTC)
    old = experiment(run(), name="old", created_at=made)
    database.load(old)
    assert json.loads(console.run("list", "--json").stdout) == [
        {
            "id": str(old.id),
            "name": "old",
            "status": "completed",
            "runs": 1,
            "created_at": "2025-01-01T00:00:00Z",
            "winner": None,
        }
    ]


@on_sqlite
def test_a_name_stays_on_its_line(console: Console, database: Database) -> None:
    database.load(experiment(name="two\nlines\x1b[2J"))
    shown = console.run("list").stdout.decode()
    assert r"two\nlines\x1b[2J" in shown
    assert len(shown.splitlines()) == 2


def test_an_empty_database_lists_nothing_and_says_what_to_do(console: Console) -> None:
    done = console.run("list")
    assert done.returncode == 0
    assert done.stdout == b""
    assert b"promptlooper-export import" in done.stderr


def test_an_empty_file_says_what_to_run(bare: Console) -> None:
    (bare.directory / "promptlooper.db").touch()
    done = bare.run("list")
    assert done.returncode != 0
    assert b"`migrate --create` makes the tables" in done.stderr
