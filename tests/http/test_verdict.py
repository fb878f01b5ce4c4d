"""Is the winner one? What the report says of experiments whose truth is known."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from builders import experiment, run
from databases import Database
from planted import PLANTED, Configs, cases, plant, runs
from servers import ROOT
from webservice import Service, settings_for

Assess = Callable[[Configs], dict[str, Any]]


@pytest.fixture
def assess(database: Database) -> Assess:
    def of(configs: Configs) -> dict[str, Any]:
        written = plant(database, configs)
        service = Service(settings_for(database.url))
        answer = service.ask(f"/experiments/{written.id}/export?format=report-json")
        report: dict[str, Any] = answer.get_json()
        found: dict[str, Any] = report["assessment"]
        return found

    return of


@pytest.mark.parametrize("truth", PLANTED)
def test_the_verdict_on_the_runner_up_is_no_more_than_the_data_hold(
    assess: Assess, truth: str
) -> None:
    configs, expected = PLANTED[truth]
    found = assess(configs)
    assert found["configs"] == len(configs)
    [verdict] = found["verdicts"]
    assert verdict["verdict"] == expected
    assert json.dumps(found, allow_nan=False)


def test_cases_are_paired_as_an_independent_computation_does(assess: Assess) -> None:
    configs = {name: cases(0.6, count=30, noise=0.1) for name in "abcdef"}
    found = assess(configs)
    table = pd.DataFrame(configs)
    order = table.mean().sort_values(ascending=False)
    first, second = (table[name] for name in order.index[:2])
    expected = stats.ttest_rel(first, second).confidence_interval()
    [verdict] = found["verdicts"]
    assert verdict["counts"] == [30]
    assert verdict["difference"] == pytest.approx((first - second).mean(), rel=1e-9)
    assert [verdict["low"], verdict["high"]] == pytest.approx(list(expected), rel=1e-9)
    means = [one["mean"] for one in found["leaders"]]
    assert means == pytest.approx(order.tolist(), rel=1e-9)
    # Two-way analysis of variance, and Efron and Morris' shrinkage by it.
    residuals = (
        table.sub(table.mean(axis=1), axis=0) - table.mean() + table.mean().mean()
    )
    error = (residuals**2).to_numpy().sum() / (29 * 5) / 30
    luck = (6 - 3) / (6 - 1) * error / order.var()
    shrunk = order.mean() + max(0, 1 - luck) * (order.iloc[0] - order.mean())
    assert found["shrunk"] == pytest.approx(shrunk, rel=1e-9)


def test_repeated_runs_are_pooled_as_an_independent_computation_does(
    assess: Assess,
) -> None:
    configs = {
        name: runs(0.6, count, 0.1)
        for name, count in zip("abcde", (3, 4, 5, 6, 7), strict=True)
    }
    found = assess(configs)
    means = {name: np.mean(scores) for name, scores in configs.items()}
    winner = max(configs, key=lambda name: max(configs[name]))
    other = max((name for name in configs if name != winner), key=means.__getitem__)
    alpha = 0.05 if means[winner] >= means[other] else 0.05 / 4
    expected = stats.ttest_ind(configs[winner], configs[other], equal_var=False)
    bounds = expected.confidence_interval(1 - alpha)
    [verdict] = found["verdicts"]
    assert verdict["p"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert [verdict["low"], verdict["high"]] == pytest.approx(list(bounds), rel=1e-9)
    assert found["winner"]["mean"] == pytest.approx(means[winner], rel=1e-9)
    squares = sum(np.var(scores) * len(scores) for scores in configs.values())
    error = squares / (25 - 5) / len(configs[winner])
    all_ = np.array(list(means.values()))
    luck = 2 / 4 * error / all_.var(ddof=1)
    shrunk = all_.mean() + max(0, 1 - luck) * (means[winner] - all_.mean())
    assert found["shrunk"] == pytest.approx(shrunk, rel=1e-9)


def test_a_cost_without_cases_counts_in_each_case(database: Database) -> None:
    loaded = experiment(
        run({"accuracy": [0.9, 0.7], "cost": 0.2}, config={"model": "a"}),
        run({"accuracy": 0.1, "cost": 0.1}, config={"model": "b"}),
        weights={"accuracy": 1, "cost": 1},
        directions={"cost": "minimize"},
    )
    database.load(loaded)
    database.execute("UPDATE scores SET case_id = id WHERE scorer_name = ?", "accuracy")
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json")
    winner = answer.get_json()["assessment"]["winner"]
    assert winner["cases"] == 2
    assert winner["mean"] == pytest.approx((0.8 - 0.2) / 2)
    assert (winner["low"] + winner["high"]) / 2 == pytest.approx(winner["mean"])


@pytest.mark.parametrize("score", [1e308, -1e308, 1e101])
def test_scores_at_the_end_of_the_range_give_no_number_that_is_not_there(
    database: Database, score: float
) -> None:
    loaded = experiment(
        *(run({"accuracy": score}, config={"model": i % 2}) for i in range(6))
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json")
    assert answer.status_code == 200
    assert answer.get_json()["assessment"] is None


def test_without_a_winner_there_is_no_assessment(database: Database) -> None:
    loaded = experiment(run(status="failed"), run())
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json")
    assert answer.get_json()["assessment"] is None


@pytest.mark.parametrize("by", ["id", "config_hash", "name"])
def test_a_baseline_is_a_run_or_a_config(database: Database, by: str) -> None:
    old = run({"accuracy": [0.1, 0.2]}, config={"model": "old"}, name="old")
    new = [run({"accuracy": score}, config={"model": "new"}) for score in (0.8, 0.9)]
    loaded = experiment(old, *new)
    database.load(loaded)
    service = Service(settings_for(database.url))
    path = f"/experiments/{loaded.id}/export?format=report-json"
    reference = str(getattr(old, by))
    report = service.ask(f"{path}&baseline={reference}&margin=0.5").get_json()
    assert report["assessment"]["margin"] == 0.5
    found = {one["against"]: one for one in report["assessment"]["verdicts"]}
    assert found["baseline"]["other"]["run_id"] == str(old.id)
    assert found["baseline"]["difference"] == pytest.approx(0.85 - 0.15)
    plain = service.ask(path)
    assert len(plain.get_json()["assessment"]["verdicts"]) == 1
    assert plain.headers["ETag"] != service.ask(f"{path}&margin=0.5").headers["ETag"]


def test_the_best_of_many_must_be_ahead_of_a_baseline_by_more(
    database: Database,
) -> None:
    others = {f"b{i}": cases(0.6) for i in range(1, 11)}
    written = plant(database, {"b0": cases(0.5), **others})
    service = Service(settings_for(database.url))
    path = f"/experiments/{written.id}/export?format=report-json&baseline=b0"
    verdicts = service.ask(path).get_json()["assessment"]["verdicts"]
    found = {one["against"]: one["confidence"] for one in verdicts}
    assert found == {"runner-up": 0.95, "baseline": pytest.approx(1 - 0.05 / 10)}


@pytest.mark.parametrize(
    "query",
    [
        "baseline=nobody",
        "baseline=",
        f"baseline={'x' * 501}",
        "baseline=00000000-0000-0000-0000-000000000009",
        "margin=-1",
        "margin=nan",
        "margin=1e999",
        "margin=x",
    ],
)
def test_a_baseline_or_margin_that_means_nothing_is_refused(
    database: Database, query: str
) -> None:
    loaded = experiment(run({"accuracy": 0.5}))
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=report-json&{query}")
    assert answer.status_code == 422
    assert answer.get_json()["parameter"] == query.partition("=")[0]


def test_only_a_report_is_compared_with_a_baseline(database: Database) -> None:
    loaded = experiment(run({"accuracy": 0.5}))
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=json&baseline=x")
    assert answer.status_code == 422


def test_the_example_of_the_docs_is_computed_as_it_says(assess: Assess) -> None:
    page = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    rows = {
        name: [float(cell) for cell in cells.split("|")]
        for name, cells in re.findall(r"^\| (new|old) \| (.*) \|$", page, re.MULTILINE)
    }
    configs = {
        name: {str(case): score for case, score in enumerate(scores)}
        for name, scores in rows.items()
    }
    [verdict] = assess(configs)["verdicts"]
    for name in ("difference", "low", "high"):
        assert f"{verdict[name]:.4f}" in page
    assert f"p = {verdict['p']:.6f}" in page
    assert f"new config is {verdict['verdict']}" in page


def test_runs_that_differ_in_their_seed_are_repeats_if_that_is_said(
    database: Database,
) -> None:
    loaded = experiment(
        *(
            run({"accuracy": score}, config={"model": model, "seed": seed})
            for model, mean in (("old", 0.6), ("new", 0.8))
            for seed, score in enumerate(runs(mean))
        )
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    path = f"/experiments/{loaded.id}/export?format=report-json"
    alone = service.ask(path).get_json()["assessment"]
    assert alone["configs"] == 10
    assert alone["verdicts"][0]["verdict"] == "not enough data"
    found = service.ask(f"{path}&repeat_over=seed").get_json()["assessment"]
    assert (found["configs"], found["winner"]["runs"]) == (2, 5)
    assert found["verdicts"][0]["verdict"] == "better"
    assert found["verdicts"][0]["counts"] == [5, 5]


def test_without_a_config_hash_equal_configs_are_repeats(database: Database) -> None:
    written = plant(database, {"a": runs(0.8), "b": runs(0.6)})
    database.execute("UPDATE runs SET config_hash = ?", "")
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{written.id}/export?format=report-json")
    found = answer.get_json()["assessment"]
    assert found["configs"] == 2
    assert found["verdicts"][0]["verdict"] == "better"
    assert found["winner"]["config_hash"] == ""
