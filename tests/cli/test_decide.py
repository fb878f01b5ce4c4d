"""`decide` elects the winner again from a report, without a database."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database

Record = dict[str, Any]


def record_of(console: Console, *arguments: str) -> Record:
    done = console.run("export", "tuned", "-f", "report-json", *arguments)
    assert done.returncode == 0
    found: Record = json.loads(done.stdout)
    return found


def load(database: Database) -> list[UUID]:
    """Write an experiment with a tie and every reason; return its runs' ids."""
    runs = [
        run({"accuracy": 0.5, "cost": 3}),
        run({"accuracy": 0.9, "cost": [4, 6]}),
        run({"accuracy": 0.9, "cost": 5}),
        run({"accuracy": 0.99}),
        run({"accuracy": float("nan"), "cost": None}),
        run({"accuracy": 1.0, "cost": 1}, status="failed"),
    ]
    database.load(
        experiment(
            *runs,
            name="tuned",
            weights={"accuracy": 1, "cost": 0.01},
            directions={"cost": "minimize"},
            required=["cost"],
        )
    )
    return [one.id for one in runs]


def test_the_record_says_who_stood_and_why_others_could_not(
    console: Console, database: Database
) -> None:
    low, first, second, lacking, nothing, failed = map(str, load(database))
    found = record_of(console)["decision"]
    assert found["rule"] == {
        "weights": {"accuracy": 1.0, "cost": 0.01},
        "directions": {"cost": "minimize"},
        "direction": "maximize",
        "required": ["cost"],
    }
    assert (found["winner"], found["runs"], found["eligible"]) == (first, 6, 3)
    rows = [
        (one["run_id"], one["place"], one["eligible"], one["reason"])
        for one in found["candidates"]
    ]
    assert rows == [
        (first, 1, True, None),
        (second, 2, True, None),
        (low, 3, True, None),
        (lacking, None, False, "lacks a required scorer"),
        (nothing, None, False, "no finite score"),
        (failed, None, False, "not completed"),
    ]
    margins = [one["margin"] for one in found["candidates"]]
    assert margins[0] == 0.0
    assert margins[1] == pytest.approx((0.4 - 0.02) / 1.01)
    assert margins[2:] == [None] * 4


def test_the_same_winner_is_elected_offline(
    console: Console, database: Database, tmp_path: Path
) -> None:
    _, first, *_ = load(database)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(record_of(console)))
    console.environ["PROMPTLOOPER_DATABASE_URL"] = "sqlite:////nowhere/at/all.db"
    done = console.run("decide", str(file))
    assert done.returncode == 0
    assert done.stdout.decode() == f"{first} wins, as recorded: 6 candidates\n"


@on_sqlite
def test_the_record_follows_another_rule(console: Console, database: Database) -> None:
    load(database)
    found = record_of(console, "--weights", "cost:1", "--required", "cost")["decision"]
    assert found["rule"]["weights"] == {"cost": 1.0}
    config = record_of(console, "--by", "config")
    assert config["decision"] is None


CHANGES: dict[str, Callable[[Record], object]] = {
    "the winner": lambda one: one.update(winner=one["candidates"][1]["run_id"]),
    "a score": lambda one: one["candidates"][2]["scores"].update(accuracy=0.95),
    "a weighted score": lambda one: one["candidates"][1].update(weighted_score=0.1),
    "a place": lambda one: one["candidates"][1].update(place=1),
    "a weight": lambda one: one["rule"]["weights"].update(cost=0.5),
    "a direction": lambda one: one["rule"]["directions"].clear(),
    "what is required": lambda one: one["rule"]["required"].clear(),
    "the digest": lambda one: one.update(digest="0" * 64),
    "who can win": lambda one: one["candidates"][3].update(eligible=True),
    "a score that decides nothing": lambda one: one["candidates"][3]["scores"].update(
        accuracy=0.1
    ),
}


@on_sqlite
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_in_a_record_is_found(
    console: Console, database: Database, tmp_path: Path, change: str
) -> None:
    load(database)
    report = record_of(console)
    CHANGES[change](report["decision"])
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report))
    done = console.run("decide", str(file))
    assert done.returncode == 3
    assert b"from the record" in done.stderr


@on_sqlite
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"decision": null}',
        '{"decision": {}}',
        '{"decision": {"rule": 1}}',
        '{"decision": {"candidates": [{}]}}',
    ],
)
def test_what_is_no_record_is_refused_in_one_line(
    console: Console, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    done = console.run("decide", str(file))
    assert done.returncode == 1
    assert len(done.stderr.decode().splitlines()) == 1
    assert str(file) in done.stderr.decode()


scores = st.dictionaries(
    st.sampled_from(["accuracy", "cost"]),
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 0.5, 1.0]),
)


@on_sqlite
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(runs=st.lists(scores, max_size=8))
def test_any_election_is_repeated_offline(
    console: Console, database: Database, tmp_path: Path, runs: list[dict[str, float]]
) -> None:
    written = experiment(*map(run, runs), weights={"accuracy": 2, "cost": -1})
    database.load(written)
    file = tmp_path / "report.json"
    done = console.run("export", str(written.id), "-f", "report-json", "-o", str(file))
    assert done.returncode == 0
    assert console.run("decide", str(file)).returncode == 0
