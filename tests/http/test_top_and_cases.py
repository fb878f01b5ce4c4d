"""How the best runs differ, how the scores are spread, and who won which case."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from builders import EPOCH, run
from databases import Database
from planted import plant
from webservice import Service, settings_for

Report = Callable[..., dict[str, Any]]


def test_the_best_runs_have_their_names_and_the_values_in_which_they_differ(
    report: Report,
) -> None:
    found = report(
        run({"a": 0.9}, name="first", config={"model": "big", "t": 1, "seed": 4}),
        run({"a": 0.8}, name=None, config={"model": "big", "t": 1.0}),
        run({"a": 0.7}, name="third", config={"model": "big", "t": 1, "seed": 5}),
    )
    assert [one["name"] for one in found["top"]] == ["first", None, "third"]
    assert found["top_parameters"] == [
        {"path": "seed", "values": [4, None, 5], "is_set": [True, False, True]},
        {"path": "t", "values": [1, 1.0, 1], "is_set": [True, True, True]},
    ]


def test_a_secret_in_a_parameter_of_the_best_runs_is_redacted(report: Report) -> None:
    found = report(
        run({"a": 0.9}, config={"api_key": "sk-one-of-them"}),
        run({"a": 0.8}, config={"api_key": "sk-another-one"}),
    )
    (parameter,) = found["top_parameters"]
    assert parameter["values"] == ["[redacted]", "[redacted]"]


def test_the_scores_are_spread_as_pandas_says(report: Report) -> None:
    scores = pd.Series(np.random.default_rng(8).normal(0.5, 0.2, 300))
    found = report(*(run({"a": score}) for score in scores.tolist()))["distribution"]
    expected = scores.describe()
    assert found["values"] == pytest.approx(
        {
            "count": 300,
            "min": expected["min"],
            "max": expected["max"],
            "mean": expected["mean"],
            "standard_deviation": expected["std"],
            "q1": expected["25%"],
            "median": expected["50%"],
            "q3": expected["75%"],
        },
        rel=1e-12,
    )
    counts, edges = np.histogram(scores, bins=20)
    assert [one["count"] for one in found["histogram"]] == counts.tolist()
    assert [one["low"] for one in found["histogram"]] == pytest.approx(edges[:-1])


def test_without_a_run_that_counts_nothing_is_spread(report: Report) -> None:
    found = report(run({"a": None}))
    assert found["distribution"] is None
    assert found["top_parameters"] == []


def test_equal_scores_are_one_bar(report: Report) -> None:
    found = report(run({"a": 0.5}), run({"a": 0.5}))["distribution"]
    assert found["histogram"] == [{"low": 0.5, "high": 0.5, "count": 2}]
    assert found["values"]["standard_deviation"] == 0


def test_cases_are_won_tied_and_lost_and_the_largest_difference_comes_first(
    database: Database,
) -> None:
    loaded = plant(
        database,
        {
            "a": {"won": 0.9, "won by more": 0.9, "tied": 0.5, "lost": 0.1, "own": 1.0},
            "b": {"won": 0.8, "won by more": 0.1, "tied": 0.5, "lost": 0.3},
        },
    )
    answer = Service(settings_for(database.url)).ask(
        f"/experiments/{loaded.id}/export?format=report-json"
    )
    (verdict,) = answer.get_json()["assessment"]["verdicts"]
    found = verdict["by_case"]
    assert (found["wins"], found["ties"], found["losses"]) == (2, 1, 1)
    assert [one["case_id"] for one in found["cases"]] == [
        "won by more",
        "lost",
        "won",
        "tied",
    ]
    assert found["cases"][0] == {"case_id": "won by more", "winner": 0.9, "other": 0.1}
    assert found["further"] == 0


def test_at_most_thirty_cases_are_listed_and_the_rest_is_counted(
    database: Database,
) -> None:
    cases = {f"case {number}": number / 40 for number in range(40)}
    loaded = plant(database, {"a": cases, "b": dict.fromkeys(cases, 0.0)})
    answer = Service(settings_for(database.url)).ask(
        f"/experiments/{loaded.id}/export?format=report-json"
    )
    found = answer.get_json()["assessment"]["verdicts"][0]["by_case"]
    assert (found["wins"], found["ties"], found["further"]) == (39, 1, 10)
    assert found["cases"][0]["case_id"] == "case 39"


def test_runs_that_are_beaten_are_sampled_evenly_over_time(report: Report) -> None:
    found = report(
        *(run({"a": number / 1000}, cost_usd=float(number)) for number in range(450))
    )
    (front,) = found["trade_offs"]
    values = [one["value"] for one in front["others"]]
    assert 100 <= len(values) <= 200
    assert len(set(np.diff(values))) == 1


def test_runs_that_failed_are_counted_in_their_period(report: Report) -> None:
    def at(minute: int) -> datetime:
        return EPOCH + timedelta(minutes=minute)

    found = report(
        run({}, status="failed", created_at=at(0)),
        run({"a": 0.1}, created_at=at(10)),
        run({}, status="failed", created_at=at(11)),
        run({"a": 0.2}, created_at=at(60)),
        run({"a": 0.3}, created_at=at(110)),
        run({}, status="failed", created_at=at(500)),
        run({}, status="failed", created_at=at(501)),
    )
    assert [period["failed"] for period in found["history"]] == [2, 0, 2]
