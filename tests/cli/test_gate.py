"""`gate` tells CI by its exit code whether the winner is good enough."""

import json

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from planted import Configs, plant

EVEN = {f"case {i}": i % 7 / 10 for i in range(40)}
BETTER = {case: score + 0.1 for case, score in EVEN.items()}
ODD = {f"case {i}": (i * 11 + 1) % 7 / 10 for i in range(40)}

TRUTHS: dict[str, tuple[Configs, int]] = {
    "better": ({"new": BETTER, "old": EVEN}, 0),
    "tied": ({"new": {**EVEN, "case 1": 0.11}, "old": EVEN}, 0),
    "worse": ({"new": [0.95, *[0.4, 0.41] * 4], "old": [0.9, 0.91] * 4}, 1),
    "not enough data": ({"new": [0.9], "old": [0.8]}, 5),
    "a lot of luck": ({"new": ODD, "old": EVEN}, 5),
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_the_exit_code_is_the_verdict_on_the_baseline(
    console: Console, database: Database, truth: str
) -> None:
    configs, code = TRUTHS[truth]
    plant(database, configs, name="tuned")
    done = console.run("gate", "tuned", "--baseline", "old", "--json")
    assert done.returncode == code
    found = json.loads(done.stdout)
    assert found["exit_code"] == code
    assert code == 5 or found["verdict"]["verdict"] == truth


@on_sqlite
@pytest.mark.parametrize(
    ("least", "code", "said"),
    [("0.5", 0, "reaches 0.5"), ("0.75", 0, "reaches"), ("0.76", 1, "is below 0.76")],
)
def test_a_least_score_is_asked_for_alone(
    console: Console, database: Database, least: str, code: int, said: str
) -> None:
    database.load(experiment(run({"accuracy": 0.75}), name="tuned"))
    done = console.run("gate", "tuned", "--min-score", least)
    assert done.returncode == code
    assert said in done.stdout.decode()


@on_sqlite
def test_below_the_least_score_is_a_failure_whatever_the_baseline(
    console: Console, database: Database
) -> None:
    plant(database, {"new": [0.9], "old": [0.8]}, name="tuned")
    done = console.run("gate", "tuned", "--baseline", "old", "--min-score", "1")
    assert done.returncode == 1


@on_sqlite
def test_the_winner_is_as_good_as_itself(console: Console, database: Database) -> None:
    plant(database, {"only": [0.9]}, name="tuned")
    assert console.run("gate", "tuned", "--baseline", "only").returncode == 0


@on_sqlite
def test_a_margin_makes_a_tie_of_a_sure_difference(
    console: Console, database: Database
) -> None:
    plant(database, {"new": BETTER, "old": EVEN}, name="tuned")
    done = console.run("gate", "tuned", "--baseline", "old", "--margin", "0.2")
    assert b"tied" in done.stdout
    assert done.returncode == 0


@on_sqlite
def test_a_rule_of_the_command_line_is_used(
    console: Console, database: Database
) -> None:
    slow = run({"accuracy": 0.9, "cost": 5}, name="slow", config={"model": "slow"})
    fast = run({"accuracy": 0.5, "cost": 1}, name="fast", config={"model": "fast"})
    database.load(experiment(slow, fast, name="tuned"))
    done = console.run(
        "gate", "tuned", "--min-score", "0.8", "--weights", "accuracy:1", "--json"
    )
    assert json.loads(done.stdout)["run_id"] == str(slow.id)


@on_sqlite
def test_without_a_run_that_counts_there_is_nothing_to_judge(
    console: Console, database: Database
) -> None:
    database.load(experiment(run(), name="tuned"))
    done = console.run("gate", "tuned", "--min-score", "0")
    assert done.returncode == 4


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--baseline"),
        (["--baseline", "nobody"], "'nobody'"),
        (["--baseline", "failed"], "has a score"),
        (["--baseline", "twice"], "several configs"),
        (["--baseline", "new", "--margin", "nan"], "finite"),
        (["--baseline", "new", "--margin", "-1"], "-1"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    console: Console, database: Database, arguments: list[str], said: str
) -> None:
    database.load(
        experiment(
            run({"accuracy": 0.9}, name="new", config={"a": 1}),
            run({"accuracy": 0.1}, name="twice", config={"a": 2}),
            run({"accuracy": 0.1}, name="twice", config={"a": 3}),
            run(name="failed", status="failed", config={"a": 4}),
            name="tuned",
        )
    )
    done = console.run("gate", "tuned", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode().splitlines()[-1]
