"""The winner among configs, whose runs are repeats, over HTTP."""

import json
import math
import random
import statistics
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import EPOCH, RunFields, experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import RunRecord
from webservice import Service, problem

ID = UUID("2f1c4d5e-6a7b-4c8d-9e0f-a1b2c3d4e5f6")
PATH = f"/experiments/{ID}/export"


def repeats(model: str, *scores: float, **fields: Any) -> list[RunRecord]:  # noqa: ANN401  of the builder
    """Build runs of one config."""
    return [run({"a": score}, config={"model": model}, **fields) for score in scores]


def best(service: Service, query: str) -> dict[str, Any]:
    response = service.ask(f"{PATH}?{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    document: dict[str, Any] = response.get_json()
    return document


def model(service: Service, query: str) -> str:
    name: str = best(service, query)["config"]["model"]
    return name


def notice(document: dict[str, Any], code: str) -> str:
    (message,) = [row["message"] for row in document["warnings"] if row["code"] == code]
    return str(message)


def test_the_config_with_the_highest_mean_is_elected(
    service: Service, database: Database
) -> None:
    lucky, steady = repeats("lucky", 1.0, 0.1), repeats("steady", 0.7, 0.9)
    database.load(experiment(*lucky, *steady, id=ID))

    assert model(service, "") == "lucky"
    found = best(service, "by=config")
    assert (found["run_id"], found["weighted_score"]) == (str(steady[1].id), 0.9)
    message = notice(found, "by-config")
    assert "0.8 over 2 runs, of 2 configs" in message


def test_by_run_is_the_default(service: Service, database: Database) -> None:
    database.load(experiment(*repeats("a", 1.0, 0.1), *repeats("b", 0.7), id=ID))
    assert best(service, "by=run")["run_id"] == best(service, "")["run_id"]


def test_a_config_needs_the_minimum_number_of_runs(
    service: Service, database: Database
) -> None:
    runs = [*repeats("once", 0.9), *repeats("twice", 0.7, 0.8)]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config") == "once"
    found = best(service, "by=config&min_runs=2")
    assert found["config"] == {"model": "twice"}
    assert "of 1 config with at least 2 runs" in notice(found, "by-config")


@pytest.mark.parametrize("format", ["json", "report-json"])
def test_more_runs_than_any_config_has_are_refused(
    service: Service, database: Database, format: str
) -> None:
    database.load(experiment(*repeats("a", 0.9, 0.8), id=ID))
    response = service.ask(f"{PATH}?format={format}&by=config&min_runs=3")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "min_runs"
    assert document["allowed"] == {"minimum": 1, "maximum": 2}


def test_runs_that_do_not_count_are_no_repeats(
    service: Service, database: Database
) -> None:
    runs = [
        *repeats("sound", 0.6, 0.6),
        *repeats("flawed", 0.5, 0.5),
        *repeats("flawed", 9.0, status="failed"),
        run({}, config={"model": "flawed"}),
        run({"a": None}, config={"model": "flawed"}),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config&min_runs=2") == "sound"
    response = service.ask(f"{PATH}?by=config&min_runs=3")
    problem(response, 422, "invalid-parameter")


def test_without_a_run_that_counts_there_is_nothing_to_elect(
    service: Service, database: Database
) -> None:
    database.load(experiment(run({}), id=ID))
    problem(service.ask(f"{PATH}?by=config&min_runs=2"), 404, "no-scored-runs")
    report = service.ask(f"{PATH}?format=report-json&by=config").get_json()
    assert report["winner"] is None


def test_of_a_tie_the_config_with_the_older_first_run_is_elected(
    service: Service, database: Database
) -> None:
    second = EPOCH + timedelta(seconds=2)
    runs = [
        run({"a": 0.5}, config={"model": "x"}, created_at=EPOCH + timedelta(seconds=3)),
        run({"a": 0.5}, config={"model": "y"}, created_at=second, id=UUID(int=9)),
        run({"a": 0.5}, config={"model": "z"}, created_at=second, id=UUID(int=8)),
    ]
    database.load(experiment(*runs, id=ID))
    found = best(service, "by=config")
    assert found["config"] == {"model": "z"}
    assert "Another config has the same mean" in notice(found, "by-config")
    assert "tie" not in {row["code"] for row in found["warnings"]}


def test_without_a_hash_the_text_of_the_config_tells_configs_apart(
    service: Service, database: Database
) -> None:
    runs = [
        *repeats("lucky", 1.0, 0.1, config_hash=""),
        *repeats("steady", 0.7, 0.9, config_hash=""),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config&min_runs=2") == "steady"


def test_a_table_without_hashes_is_understood(
    service: Service, database: Database
) -> None:
    runs = [*repeats("lucky", 1.0, 0.1), *repeats("steady", 0.7, 0.9)]
    database.load(experiment(*runs, id=ID))
    database.execute("ALTER TABLE runs DROP COLUMN config_hash")
    assert model(service, "by=config&min_runs=2") == "steady"
    assert model(service, "by=config&repeat_over=model") == "lucky"


def test_runs_of_one_hash_are_of_one_config(
    service: Service, database: Database
) -> None:
    runs = [
        *repeats("lucky", 1.0, config_hash="h"),
        *repeats("unlucky", 0.1, config_hash="h"),
        *repeats("steady", 0.7, config_hash="g"),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config") == "steady"


def seeded(model: str, *scores: float) -> list[RunRecord]:
    return [
        run({"a": score}, config={"model": model, "sampling": {"seed": seed}})
        for seed, score in enumerate(scores)
    ]


@pytest.mark.parametrize("path", ["sampling.seed", "sampling", '["sampling.seed"]'])
def test_runs_that_differ_in_their_seed_are_repeats_if_that_is_said(
    service: Service, database: Database, path: str
) -> None:
    runs = [*seeded("lucky", 1.0, 0.1), *seeded("steady", 0.7, 0.9)]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config") == "lucky"
    query = urlencode({"by": "config", "min_runs": 2, "repeat_over": path})
    found = best(service, query)
    assert found["config"] == {"model": "steady", "sampling": {"seed": 1}}
    assert "over 2 runs" in notice(found, "by-config")


def test_a_config_that_cannot_be_read_is_like_no_other(
    service: Service, database: Database
) -> None:
    runs = [
        *seeded("steady", 0.7, 0.9),
        run({"a": 1.0}, text='{"model": 1e999}'),
        run({"a": 0.1}, text="[1]"),
    ]
    database.load(experiment(*runs, id=ID))
    query = "by=config&min_runs=2&repeat_over=sampling.seed"
    assert model(service, query) == "steady"
    response = service.ask(f"{PATH}?by=config&repeat_over=sampling.seed")
    problem(response, 422, "invalid-config")


@pytest.mark.parametrize("path", ["sampling.sead", "seed", "mode"])
def test_a_path_that_no_config_has_is_refused(
    service: Service, database: Database, path: str
) -> None:
    database.load(experiment(*seeded("a", 0.5, 0.6), id=ID))
    response = service.ask(f"{PATH}?by=config&repeat_over={path}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "repeat_over"
    assert document["allowed"] == ["model", "sampling.seed"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("by=best", "by"),
        ("by=", "by"),
        ("by=config&min_runs=0", "min_runs"),
        ("by=config&min_runs=x", "min_runs"),
        ("min_runs=2", "min_runs"),
        ("by=run&min_runs=2", "min_runs"),
        ("by=config&repeat_over=", "repeat_over"),
        ("by=config&repeat_over=seed,seed", "repeat_over"),
        ("by=config&repeat_over=[1]", "repeat_over"),
        ("prefer=cheap", "prefer"),
        ("by=run&prefer=cheapest-within-1se", "prefer"),
        ("format=csv&by=config", "by"),
        ("format=ndjson&by=config&prefer=cheapest-within-1se", "by"),
    ],
)
def test_what_says_nothing_is_refused_before_the_database_is_asked(
    service_without_database: Service, query: str, parameter: str
) -> None:
    response = service_without_database.ask(f"{PATH}?{query}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == parameter


def test_a_report_ranks_configs_by_their_best_runs(
    service: Service, database: Database
) -> None:
    runs = [
        *repeats("lucky", 1.0, 0.1),
        *repeats("steady", 0.7, 0.9),
        *repeats("poor", 0.2, 0.3),
    ]
    database.load(experiment(*runs, id=ID))
    report = best(service, "format=report-json&by=config")
    found = [(row["rank"], row["run_id"]) for row in report["top"]]
    assert found == [
        (1, str(runs[3].id)),
        (2, str(runs[0].id)),
        (3, str(runs[5].id)),
    ]
    assert report["winner"]["config"] == {"model": "steady"}
    assert report["counts"]["scored"] == 6
    assert report["differences"]["compared"] == 2


def test_a_rule_and_an_election_go_together(
    service: Service, database: Database
) -> None:
    runs = [
        run({"a": 0.9, "b": 0.0}, config={"model": "x"}),
        run({"a": 0.0, "b": 0.8}, config={"model": "y"}),
        run({"a": 0.9, "b": 0.6}, config={"model": "y"}),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "by=config&weights=a:1") == "x"
    assert model(service, "by=config&weights=b:1") == "y"
    answers = [
        service.ask(f"{PATH}?{query}").headers["ETag"]
        for query in ("weights=a:1", "by=config&weights=a:1", "by=config")
    ]
    assert len(set(answers)) == 3


def priced(model: str, cost: float | None, *scores: float) -> list[RunRecord]:
    return repeats(model, *scores, cost_usd=cost, duration_ms=None)


def test_the_cheapest_config_within_one_standard_error_is_preferred(
    service: Service, database: Database
) -> None:
    # The winner's mean is 0.9 and its standard error 0.1 / sqrt(2) = 0.0707.
    runs = [
        *priced("best", 0.01, 0.8, 1.0),
        *priced("near", 0.004, 0.85, 0.83),
        *priced("cheap", 0.002, 0.831, 0.831),
        *priced("worse", 0.001, 0.75, 0.75),
    ]
    database.load(experiment(*runs, id=ID))
    assert statistics.stdev([0.8, 1.0]) / math.sqrt(2) == pytest.approx(0.1)
    found = best(service, "prefer=cheapest-within-1se")
    assert found["config"] == {"model": "cheap"}
    message = notice(found, "prefer")
    assert "0.831 over 2 runs" in message
    assert "within one standard error (0.1)" in message
    assert "0.9 over 2 runs" in message
    assert f"run {runs[1].id}, with 0.01 (80% cheaper)" in message


def test_the_fastest_config_goes_by_duration(
    service: Service, database: Database
) -> None:
    runs = [
        *repeats("best", 0.8, 1.0, duration_ms=900, cost_usd=0.1),
        *repeats("fast", 0.85, 0.85, duration_ms=100, cost_usd=0.3),
        *repeats("cheap", 0.85, 0.85, duration_ms=500, cost_usd=0.01),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "prefer=fastest-within-1se") == "fast"
    assert model(service, "by=config&prefer=cheapest-within-1se") == "cheap"


def test_the_winner_stays_if_nothing_as_good_is_cheaper(
    service: Service, database: Database
) -> None:
    runs = [*priced("best", 0.01, 0.89, 0.91), *priced("cheap", 0.001, 0.5, 0.5)]
    database.load(experiment(*runs, id=ID))
    found = best(service, "prefer=cheapest-within-1se")
    assert found["config"] == {"model": "best"}
    assert "as well" in notice(found, "prefer")


def test_equally_cheap_configs_are_told_apart_by_their_score(
    service: Service, database: Database
) -> None:
    runs = [
        *priced("best", 0.01, 0.8, 1.0),
        *priced("lower", 0.001, 0.83),
        *priced("higher", 0.001, 0.84),
    ]
    database.load(experiment(*runs, id=ID))
    assert model(service, "prefer=cheapest-within-1se") == "higher"


def test_a_config_without_a_known_cost_is_not_preferred(
    service: Service, database: Database
) -> None:
    runs = [*priced("best", None, 0.8, 1.0), *priced("known", 5.0, 0.85)]
    database.load(experiment(*runs, id=ID))
    found = best(service, "prefer=cheapest-within-1se")
    assert found["config"] == {"model": "known"}
    assert "whose cost_usd is unknown" in notice(found, "prefer")


def test_a_single_run_goes_by_the_spread_of_the_others(
    service: Service, database: Database
) -> None:
    # Pooled: sqrt((0.02 + 0.0002) / 2) = 0.1005.
    runs = [
        *priced("best", 0.01, 0.9),
        *priced("spread", 0.02, 0.2, 0.4),
        *priced("narrow", 0.001, 0.81, 0.83),
    ]
    database.load(experiment(*runs, id=ID))
    found = best(service, "prefer=cheapest-within-1se")
    assert found["config"] == {"model": "narrow"}
    assert "(0.100499)" in notice(found, "prefer")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([("a", 0.1, [0.5]), ("b", 0.1, [0.6])], "no spread"),
        ([("a", None, [0.5, 0.5]), ("b", None, [0.6, 0.6])], "needs cost_usd"),
        ([("a", 0.1, [1.7e308, -1.7e308]), ("b", 0.1, [-1.0, 1.0])], "double"),
    ],
)
def test_where_there_is_nothing_to_go_by_nothing_is_preferred(
    service: Service,
    database: Database,
    runs: list[tuple[str, float | None, list[float]]],
    said: str,
) -> None:
    built = [one for name, cost, scores in runs for one in priced(name, cost, *scores)]
    database.load(experiment(*built, id=ID))
    response = service.ask(f"{PATH}?prefer=cheapest-within-1se")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "prefer"
    assert said in document["detail"]


VALUES = st.sampled_from([0.1, 0.2, 0.3, 0.1 + 0.2, -1.0, 1e100])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    configs=st.lists(st.lists(VALUES, max_size=4), min_size=1, max_size=6),
    min_runs=st.integers(1, 3),
    shuffling=st.randoms(use_true_random=False),
)
def test_the_elected_run_is_that_of_a_reference(
    service: Service,
    database: Database,
    configs: list[list[float]],
    min_runs: int,
    shuffling: random.Random,
) -> None:
    fields: RunFields = {"created_at": EPOCH}
    built = [
        run({"a": score}, config={"number": number}, **fields)
        for number, scores in enumerate(configs)
        for score in scores
    ]
    shuffled = shuffling.sample(built, len(built))
    record = experiment(*shuffled, id=uuid4())
    renamed = [
        dict(zip(("id", "config", "score"), row, strict=True))
        for row in ((one.id, one.config, one.scores["a"][0]) for one in built)
    ]
    database.load(record)
    expected = reference(renamed, min_runs)
    response = service.ask(
        f"/experiments/{record.id}/export?by=config&min_runs={min_runs}"
    )
    if expected is None:
        assert response.status_code in {404, 422}
    else:
        assert response.get_json()["run_id"] == str(expected)


def reference(runs: Sequence[dict[str, Any]], min_runs: int) -> UUID | None:
    """Elect by sorting plain rows; all runs are of one age."""
    by_config: dict[JSON, list[dict[str, Any]]] = {}
    for one in sorted(runs, key=lambda one: one["id"].hex):
        by_config.setdefault(one["config"], []).append(one)
    standing = [
        (-statistics.fmean(one["score"] for one in rows), rows[0]["id"].hex, rows)
        for rows in by_config.values()
        if len(rows) >= min_runs
    ]
    if not standing:
        return None
    *_, rows = min(standing, key=lambda row: row[:2])
    best: UUID = min(rows, key=lambda one: (-one["score"], one["id"].hex))["id"]
    return best


def test_a_notice_reaches_formats_that_have_no_place_for_it(
    service: Service, database: Database
) -> None:
    database.load(experiment(*repeats("a", 0.5, 0.6), id=ID))
    response = service.ask(f"{PATH}?format=env&by=config")
    (row,) = json.loads(response.headers["X-Export-Warnings"])
    assert row["code"] == "by-config"
