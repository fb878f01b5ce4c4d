"""Which weight, changed alone, has another run win: as the what-if confirms."""

import json
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from builders import Directions, Judgements, experiment, run
from databases import Database
from promptlooper_export.records import ExperimentRecord
from webservice import Service, settings_for

SCORERS = ("accuracy", "brevity", "cost")
CLOSE = 1e-7


class Asked:
    """An experiment in a database, and what the service answers about it."""

    def __init__(self, database: Database, loaded: ExperimentRecord) -> None:
        database.load(loaded)
        self._service = Service(settings_for(database.url))
        self._path = f"/experiments/{loaded.id}/export"

    def report(self, **query: str) -> dict[str, Any]:
        named = urlencode({"format": "report-json", **query})
        answer = self._service.ask(f"{self._path}?{named}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.get_json()
        return found

    def winner(self, weights: dict[str, float]) -> str:
        found = self.report(weights=json.dumps(weights))
        winner: str = found["winner"]["run"]["run_id"]
        return winner


def drawn(seed: int, *, missing: float, digits: int) -> ExperimentRecord:
    random = np.random.default_rng(seed)
    scores: list[dict[str, Judgements]] = [
        {
            name: round(float(random.random()), digits)
            for name in SCORERS
            if random.random() >= missing
        }
        for _ in range(25)
    ]
    directions: Directions = {"cost": "minimize"}
    weights = {"accuracy": 0.5, "brevity": 0.3, "cost": 0.2}
    if seed % 3 == 1:
        del weights["brevity"]
    return experiment(
        *map(run, scores),
        weights=weights if seed % 3 < 2 else None,
        directions=directions,
    )


@pytest.mark.parametrize(
    ("missing", "digits"), [(0.0, 6), (0.4, 6), (0.0, 1), (0.4, 1)]
)
@pytest.mark.parametrize("seed", range(3))
def test_the_winner_changes_at_the_weight_that_is_named_and_not_before(
    database: Database, seed: int, missing: float, digits: int
) -> None:
    asked = Asked(database, drawn(seed, missing=missing, digits=digits))
    report = asked.report()
    winner = report["winner"]["run"]["run_id"]
    found = report["sensitivity"]
    assert found["runs"] == report["counts"]["scored"]
    weights = {one["scorer"]: one["weight"] for one in found["scorers"]}
    assert sorted(weights) == list(SCORERS)
    assert asked.winner(weights) == winner
    for one in found["scorers"]:
        name, weight = one["scorer"], one["weight"]
        for side, far in (("lower", weight * 1e-9), ("upper", 1e9)):
            crossing = one[side]
            if crossing is None:
                if far:
                    assert asked.winner({**weights, name: far}) == winner
                continue
            at, away = crossing["weight"], 1 if side == "upper" else -1
            beyond = {**weights, name: at + away * CLOSE}
            assert asked.winner(beyond) == crossing["run_id"]
            assert (at - weight) * away >= 0
            if abs(at - weight) > CLOSE:
                before = {**weights, name: at - away * CLOSE}
                assert asked.winner(before) == winner


def test_the_weights_at_which_another_wins_are_those_of_a_worked_example(
    database: Database,
) -> None:
    winner = run({"accuracy": 0.9, "brevity": 0.5})
    brief = run({"accuracy": 0.7, "brevity": 0.8})
    asked = Asked(
        database, experiment(winner, brief, weights={"accuracy": 0.7, "brevity": 0.3})
    )
    accuracy, brevity = asked.report()["sensitivity"]["scorers"]
    # 0.9 a + 0.5 b = 0.7 a + 0.8 b where 0.2 a = 0.3 b.
    assert accuracy["lower"]["weight"] == pytest.approx(0.45)
    assert accuracy["lower"]["run_id"] == str(brief.id)
    assert accuracy["upper"] is None
    assert brevity["lower"] is None
    assert brevity["upper"]["weight"] == pytest.approx(0.7 * 2 / 3)


def test_a_tie_that_any_change_ends_is_crossed_at_the_weight_itself(
    database: Database,
) -> None:
    first = run({"accuracy": 0.5, "brevity": 0.5})
    other = run({"accuracy": 0.75, "brevity": 0.25})
    asked = Asked(
        database, experiment(first, other, weights={"accuracy": 1, "brevity": 1})
    )
    accuracy, brevity = asked.report()["sensitivity"]["scorers"]
    assert accuracy["upper"] == {"weight": 1.0, "run_id": str(other.id)}
    assert brevity["lower"] == {"weight": 1.0, "run_id": str(other.id)}


@pytest.mark.parametrize(
    ("weights", "score", "query"),
    [
        ({"accuracy": -1.0}, 0.5, {}),
        ({"accuracy": 1.0}, 1e60, {}),
        ({"accuracy": 1.0}, -1e308, {}),
        ({"accuracy": 1e60}, 0.5, {}),
        ({"accuracy": 1.0}, 0.5, {"by": "config"}),
        ({f"scorer {n}": 1.0 for n in range(17)}, 0.5, {}),
    ],
    ids=[
        "negative weight",
        "large score",
        "low score",
        "large weight",
        "by config",
        "many scorers",
    ],
)
def test_what_cannot_be_told_exactly_is_left_out(
    database: Database, weights: dict[str, float], score: float, query: dict[str, str]
) -> None:
    runs = [run(dict.fromkeys(weights, value)) for value in (score, score / 2)]
    asked = Asked(database, experiment(*runs, weights=weights))
    assert asked.report(**query)["sensitivity"] is None


def test_without_a_winner_no_weight_is_asked_for(database: Database) -> None:
    assert Asked(database, experiment(run())).report()["sensitivity"] is None
