"""What was gained for the money and the time, and which scores are missing."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from builders import Judgements, experiment, run
from databases import Database
from promptlooper_export.records import RunRecord
from webservice import Service, settings_for

Report = Callable[..., dict[str, Any]]


def priced(
    score: float | None, cost: float | None = None, ms: int | None = None
) -> RunRecord:
    return run({"accuracy": score}, cost_usd=cost, duration_ms=ms)


def fronts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["measure"]: one for one in found["trade_offs"]}


def is_beaten(others: pd.DataFrame, score: float, measure: str, value: float) -> bool:
    no_worse = others[(others["score"] >= score) & (others[measure] <= value)]
    better = no_worse[(no_worse["score"] > score) | (no_worse[measure] < value)]
    return not better.empty


@pytest.mark.parametrize("seed", range(3))
def test_the_runs_that_none_beats_are_those_of_an_independent_computation(
    report: Report, seed: int
) -> None:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "score": random.integers(0, 30, 500) / 30,
            "cost_usd": random.integers(0, 300, 500) / 100,
            "duration_ms": random.integers(0, 1_000, 500),
        }
    )
    runs = [
        priced(score, cost, ms)
        for score, cost, ms in zip(
            table["score"].tolist(),
            table["cost_usd"].tolist(),
            table["duration_ms"].tolist(),
            strict=True,
        )
    ]
    table["run_id"] = [str(one.id) for one in runs]
    found = fronts(report(*runs))
    for measure in ("cost_usd", "duration_ms"):
        # Of equal runs, the oldest.
        distinct = table.drop_duplicates(["score", measure])
        front = pd.DataFrame(
            one
            for _, one in distinct.iterrows()
            if not is_beaten(distinct, one["score"], measure, one[measure])
        ).sort_values("score", ascending=False)
        shown = found[measure]
        assert shown["count"] == len(front)
        assert shown["runs"] == len(table)
        points = [(one["run_id"], one["value"]) for one in shown["points"]]
        expected = list(zip(front["run_id"], front[measure], strict=True))
        if len(front) <= 20:
            assert points == expected
        assert points[0] == expected[0]
        assert points[-1] == expected[-1]
        assert set(points) <= set(expected)


def test_of_a_long_front_twenty_points_are_shown_with_both_ends(
    report: Report,
) -> None:
    runs = [priced(place / 100, place / 10) for place in range(100)]
    [found] = report(*runs)["trade_offs"]
    assert found["count"] == 100
    values = [one["value"] for one in found["points"]]
    assert len(set(values)) == 20
    assert (values[0], values[-1]) == (9.9, 0.0)
    assert values == sorted(values, reverse=True)


def test_runs_without_a_cost_are_left_out_and_counted(report: Report) -> None:
    cheap, dear = priced(0.5, 0.1), priced(0.8, 0.2)
    found = fronts(
        report(priced(0.9), cheap, dear, priced(0.1, 0.3), priced(None, 0.0))
    )
    assert list(found) == ["cost_usd"]
    cost = found["cost_usd"]
    assert (cost["runs"], cost["without"], cost["count"]) == (4, 1, 2)
    assert [one["run_id"] for one in cost["points"]] == [str(dear.id), str(cheap.id)]


def test_of_equal_runs_the_oldest_is_on_the_front(report: Report) -> None:
    runs = [priced(0.5, 0.1) for _ in range(3)]
    [found] = report(*runs)["trade_offs"]
    assert [one["run_id"] for one in found["points"]] == [str(runs[0].id)]


def test_without_runs_that_count_there_is_no_trade_off(report: Report) -> None:
    found = report(priced(None, 0.1), run(status="failed"))
    assert found["trade_offs"] == []


def test_missing_scores_are_counted_by_scorer(report: Report) -> None:
    random = np.random.default_rng(5)
    given: list[dict[str, Judgements]] = [
        {
            name: [None if random.random() < 0.3 else 0.5 for _ in range(2)]
            for name in ("accuracy", "brevity", "cost")
            if random.random() < 0.7
        }
        for _ in range(60)
    ]
    found = report(*map(run, given), run(status="failed"), required=["safety"])
    table = pd.DataFrame(
        [
            (number, name, one)
            for number, scores in enumerate(given)
            for name, values in scores.items()
            for one in (values if isinstance(values, list) else [])
        ],
        columns=["run", "name", "value"],
    )
    expected = {
        name: {
            "runs": int(of_scorer.dropna()["run"].nunique()),
            "missing": 60 - int(of_scorer.dropna()["run"].nunique()),
            "nulls": int(of_scorer["value"].isna().sum()),
            "not_finite": 0,
            "required": False,
        }
        for name, of_scorer in table.groupby("name")
    }
    empty = {"runs": 0, "missing": 60, "nulls": 0, "not_finite": 0, "required": True}
    shown = {one.pop("name"): one for one in found["coverage"]}
    assert shown == {**expected, "safety": empty}
    assert list(shown) == sorted(shown)


def test_judgements_that_are_not_finite_are_counted(database: Database) -> None:
    loaded = experiment(run({"accuracy": [0.5, 0.25], "brevity": 0.5}))
    database.load(loaded)
    database.execute("UPDATE scores SET value = ? WHERE value < 0.3", math.inf)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json")
    [accuracy, brevity] = answer.get_json()["coverage"]
    assert (accuracy["runs"], accuracy["missing"], accuracy["not_finite"]) == (1, 0, 1)
    assert brevity["not_finite"] == 0


def test_the_markdown_report_lists_trade_offs_and_missing_scores(
    database: Database,
) -> None:
    loaded = experiment(
        run({"accuracy": 0.5, "brevity": 0.5}, cost_usd=0.25), run({"accuracy": 0.75})
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    text = service.ask(f"/experiments/{loaded.id}/export?format=markdown").text
    assert "## Trade-offs" in text
    assert "1 run without a cost left out." in text
    missing = text[text.index("## Missing Scores") :]
    assert "| brevity" in missing[: missing.index("\n## ")]
    assert "| accuracy" not in missing[: missing.index("\n## ")]
