"""Why did it win? What the report finds in experiments whose truth is known."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from builders import run
from effort import Work, grows_too_fast
from promptlooper_export.analysis.failures import group_failures
from promptlooper_export.configs import JSON
from promptlooper_export.records import RunRecord

Report = Callable[..., dict[str, Any]]


def scored(configs: Sequence[JSON], scores: Sequence[float]) -> list[RunRecord]:
    return [
        run({"accuracy": float(score)}, config=config)
        for config, score in zip(configs, scores, strict=True)
    ]


def by_path(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["path"]: one for one in found["parameters"]["parameters"]}


def left_out(found: Mapping[str, Any]) -> dict[str, str]:
    return {one["path"]: one["reason"] for one in found["parameters"]["left_out"]}


def expected_shares(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return eta and omega squared by way of SciPy's F."""
    f = float(stats.f_oneway(*groups).statistic)
    between, count = len(groups) - 1, sum(map(len, groups))
    eta = f * between / (f * between + count - len(groups))
    return eta, max(0.0, between * (f - 1) / (between * (f - 1) + count))


def experiment_of(count: int) -> pd.DataFrame:
    """Draw runs whose score depends on the model, and on the temperature a bit."""
    random = np.random.default_rng(count)
    table = pd.DataFrame(
        {
            "model": random.choice(["large", "medium", "small"], count),
            "temperature": random.uniform(0, 1, count).round(6),
            "top_k": random.choice([10, 20, 40], count),
            "seed": random.permutation(count),
            "stream": True,
        }
    )
    effect = table["model"].map({"large": 0.3, "medium": 0.15, "small": 0.0})
    noise = random.normal(0, 0.05, count)
    table["score"] = 0.5 + effect - 0.1 * table["temperature"] + noise
    return table


def records(table: pd.DataFrame) -> list[JSON]:
    found: list[JSON] = json.loads(
        table.drop(columns="score").to_json(orient="records")
    )
    return found


def test_the_parameter_that_decides_comes_first_with_what_an_independent_computation_says(  # noqa: E501
    report: Report,
) -> None:
    table = experiment_of(200)
    configs = records(table)
    found = report(*scored(configs, list(table["score"])))

    order = [one["path"] for one in found["parameters"]["parameters"]]
    assert order == ["model", "temperature", "top_k"]
    assert left_out(found) == {"seed": "unique", "stream": "constant"}
    assert (found["parameters"]["used"], found["parameters"]["runs"]) == (200, 200)

    model = by_path(found)["model"]
    grouped = table.groupby("model")["score"]
    eta, omega = expected_shares([list(scores) for _, scores in grouped])
    assert model["kind"] == "categorical"
    assert model["share"] == pytest.approx(eta, rel=1e-9)
    assert model["corrected"] == pytest.approx(omega, rel=1e-9)
    means = grouped.mean().sort_values(ascending=False)
    assert [one["value"] for one in model["values"]] == list(means.index)
    for one in model["values"]:
        scores = table.loc[table["model"] == one["value"], "score"]
        bounds = stats.t.interval(
            0.95, len(scores) - 1, loc=scores.mean(), scale=stats.sem(scores)
        )
        assert one["runs"] == len(scores)
        assert one["mean"] == pytest.approx(scores.mean(), rel=1e-9)
        assert [one["low"], one["high"]] == pytest.approx(list(bounds), rel=1e-9)


def test_numbers_are_put_into_eight_bins_of_as_many_runs(report: Report) -> None:
    table = experiment_of(203)
    configs = records(table)
    found = by_path(report(*scored(configs, list(table["score"]))))

    ranks = table["temperature"].rank(method="min") - 1
    bins = table.groupby(ranks * 8 // len(table))
    numeric = found["temperature"]
    assert numeric["kind"] == "numeric"
    assert len(numeric["values"]) == 8
    for one, (_, members) in zip(numeric["values"], bins, strict=True):
        assert one["runs"] == len(members)
        assert one["least"] == members["temperature"].min()
        assert one["most"] == members["temperature"].max()
        assert one["mean"] == pytest.approx(members["score"].mean(), rel=1e-9)
    eta, omega = expected_shares([list(members["score"]) for _, members in bins])
    assert numeric["share"] == pytest.approx(eta, rel=1e-9)
    assert numeric["corrected"] == pytest.approx(omega, rel=1e-9)
    few = found["top_k"]["values"]
    assert [(one["least"], one["most"]) for one in few] == [
        (10, 10), (20, 20), (40, 40),
    ]  # fmt: skip


def test_what_luck_explains_is_told_from_what_a_parameter_does(report: Report) -> None:
    scores = np.random.default_rng(3).normal(0.5, 0.1, 32)
    configs: list[JSON] = [{"letter": letter} for letter in "abcdefgh" * 4]
    letter = by_path(report(*scored(configs, list(scores))))["letter"]
    assert letter["share"] > 0.1
    assert letter["corrected"] < letter["share"] / 2
    expected = stats.f_oneway(*(scores[place::8] for place in range(8)))
    assert letter["p"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert letter["p"] > 0.05


def test_runs_without_a_parameter_are_a_value_of_their_own(report: Report) -> None:
    bare: JSON = {"a": 1}
    told: JSON = {"a": 1, "hint": "think"}
    configs = [told] * 4 + [bare] * 4
    found = by_path(report(*scored(configs, [0.9, 0.8, 0.9, 0.8, 0.1, 0.2, 0.1, 0.2])))
    values = [
        (one["value"], one["is_set"], one["runs"]) for one in found["hint"]["values"]
    ]
    assert values == [("think", True, 4), (None, False, 4)]


def test_equal_numbers_are_one_value_and_texts_and_truths_are_not(
    report: Report,
) -> None:
    values: list[JSON] = [1, 1.0, 1, True, True, True, "1", "1", "1", None, None, None]
    found = by_path(
        report(*scored([{"b": one} for one in values], list(np.arange(12) / 12)))
    )
    shown = [(one["value"], one["runs"]) for one in found["b"]["values"]]
    assert [repr(one) for one in shown] == [
        repr((None, 3)), repr(("1", 3)), repr((True, 3)), repr((1, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ("abab", [0.1, 0.2, 0.3, 0.4]),  # no value has three runs
        ("aaaab", [0.1, 0.2, 0.3, 0.4, 0.5]),  # only one has
        ("aaabbb", [0.5] * 6),  # nothing to explain
    ],
)
def test_too_little_data_is_called_so(
    report: Report, values: str, scores: list[float]
) -> None:
    found = report(*scored([{"a": value} for value in values], scores))
    assert found["parameters"]["parameters"] == []
    assert left_out(found) == {"a": "not enough data"}


def test_rare_values_are_counted_and_left_out_of_the_share(report: Report) -> None:
    configs: list[JSON] = [{"a": value} for value in "aaaabbbbcdee"]
    scores = np.random.default_rng(4).uniform(0, 1, 12)
    found = by_path(report(*scored(configs, list(scores))))["a"]
    assert (found["runs"], found["further"]) == (8, 3)
    eta, _ = expected_shares([list(scores[:4]), list(scores[4:8])])
    assert found["share"] == pytest.approx(eta, rel=1e-9)


def test_what_is_listed_is_bounded(report: Report) -> None:
    letters = [f"value {number}" for number in range(20)]
    config: dict[str, JSON] = {f"same{place:02}": 1 for place in range(60)}
    configs: list[JSON] = [
        {**config, **{f"p{place:02}": letter for place in range(25)}}
        for letter, _ in product(letters, range(3))
    ]
    found = report(*scored(configs, list(np.arange(60) / 60)))["parameters"]
    assert (len(found["parameters"]), found["further"]) == (20, 5)
    first = found["parameters"][0]
    assert (len(first["values"]), first["further"]) == (12, 8)
    assert (len(found["left_out"]), found["further_left_out"]) == (50, 10)


def test_a_long_value_is_named_by_its_digest(report: Report) -> None:
    configs: list[JSON] = [{"prompt": c * 5_000} for c in "ab" for _ in range(3)]
    found = by_path(report(*scored(configs, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])))
    shown = [one["value"] for one in found["prompt"]["values"]]
    assert len(set(shown)) == 2
    assert all("5,002 characters, SHA-256" in one for one in shown)


def test_no_secret_is_among_the_values_of_parameters(report: Report) -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWFsaWNl"
    secrets = ("plain-Zk81xv0Qm7", "plain-Tb52yw9Lp3")
    configs: list[JSON] = [
        {
            "auth": {"password": secret},
            "prompt": f"{secret[-1]} Bearer {jwt}",
            jwt: secret[-1],
            "a": secret[-1],
        }
        for secret in secrets
        for _ in range(3)
    ]
    found = report(*scored(configs, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert set(by_path(found)) > {"a", "auth.password", "prompt"}
    text = json.dumps(found)
    assert not [one for one in (*secrets, jwt) if one in text]
    values = by_path(found)["auth.password"]["values"]
    assert {one["value"] for one in values} == {"[redacted]"}


def test_a_config_that_is_not_valid_is_not_used(report: Report) -> None:
    valid = scored([{"a": value} for value in "aaabbb"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = report(*valid, run({"accuracy": 0.3}, text="[1]"))["parameters"]
    assert (found["used"], found["runs"]) == (6, 7)


def test_without_a_run_that_counts_nothing_is_explained(report: Report) -> None:
    assert report(run(), run(status="failed"))["parameters"] is None


@pytest.mark.parametrize("score", [1e308, -1e308, 1e149])
def test_extreme_scores_give_no_number_that_is_not_there(
    report: Report, score: float
) -> None:
    scores = [score, -score, 0.5, 0.25, score, 0.125, -score]
    found = report(*scored([{"a": value} for value in "aaabbba"], scores))
    assert json.dumps(found, allow_nan=False)


def failed(*errors: str | None) -> list[RunRecord]:
    return [run(status="failed", error=error) for error in errors]


def test_failed_runs_are_grouped_by_what_went_wrong(report: Report) -> None:
    slow = failed(*(f"Request {n}-ab{n}: timed out after {n}.5 s" for n in range(7)))
    wrong = failed(
        'Traceback (most recent call last):\n  File "x.py"\nKeyError: 1',
        "KeyError: 2\nand more",
    )
    found = report(run({"a": 1.0}), *slow, *wrong, *failed(None, "\n "))["failures"]
    assert found["runs"] == 11
    groups = [(one["message"], one["count"], one["retry"]) for one in found["groups"]]
    assert groups == [
        ("Request 0-ab0: timed out after 0.5 s", 7, "yes"),
        ("KeyError: 1", 2, "no"),
        (None, 2, "unknown"),
    ]
    assert found["groups"][0]["run_ids"] == [str(one.id) for one in slow[:5]]


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        ("Error code: 429 - Rate limit reached for gpt-4o", "yes"),
        ("Error code: 429 - You exceeded your quota: insufficient_quota", "no"),
        ("openai.APITimeoutError: Request timed out.", "yes"),
        ("HTTP/1.1 503 Service Unavailable", "yes"),
        ("Server error '502 Bad Gateway' for url 'https://x'", "yes"),
        ("500 Internal Server Error", "yes"),
        ("anthropic.APIStatusError: overloaded_error", "yes"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "yes"),
        ("Temporary failure in name resolution", "yes"),
        ("Error code: 401 - Incorrect API key provided", "no"),
        ("403 Forbidden", "no"),
        ("PermissionDenied: the key may not use this model", "no"),
        ("Error code: 400 - maximum context length is 8192 tokens", "no"),
        ("status_code=422 validation failed", "no"),
        ("pydantic.ValidationError: 1 validation error for Answer", "no"),
        ("404 model not found", "no"),
        ("assertion failed in line 429", "unknown"),
        ("the answer is empty", "unknown"),
    ],
)
def test_whether_a_retry_may_help_is_told_by_the_message(
    error: str, retry: str
) -> None:
    [found] = group_failures([(UUID(int=1), error)]).groups
    assert found.retry == retry


def test_messages_with_another_status_are_another_group(report: Report) -> None:
    errors = (
        "HTTP 429 for request 1",
        "HTTP 500 for request 2",
        "HTTP 429 for request 3",
    )
    found = report(*failed(*errors))["failures"]
    counts = [(one["message"], one["count"]) for one in found["groups"]]
    assert counts == [("HTTP 429 for request 1", 2), ("HTTP 500 for request 2", 1)]


def test_further_groups_of_failures_are_counted(report: Report) -> None:
    letters = "abcdefghijklm"
    errors = [f"failed at {letter}" for letter in letters for _ in range(2)]
    found = report(*failed(*errors))["failures"]
    assert len(found["groups"]) == 10
    assert (found["further"], found["further_runs"]) == (3, 6)


def test_no_secret_is_in_the_message_of_a_failure(report: Report) -> None:
    key = "sk-proj-Zk81xv0Qm7Tb52yw9Lp3Zk81xv0Qm7Tb52yw9Lp3"
    long = " ".join(["word"] * 99) + f" x {key}"
    found = report(*failed(f"401 for key {key}", f"{long} and more {'word ' * 99}"))
    texts = [one["message"] for one in found["failures"]["groups"]]
    assert texts[0].startswith("401 for key ")
    assert not [text for text in texts if key[:12] in text]
    assert all(len(text) < 550 for text in texts)


def test_without_failed_runs_there_are_no_failures(report: Report) -> None:
    assert report(run({"a": 1.0}))["failures"] is None


@pytest.mark.parametrize(
    "text", ["http/", "error ", "4", "4-", "a1-", "status code ", "\n", " ", "context"]
)
def test_errors_are_read_in_linear_time(text: str) -> None:
    def work(size: int) -> Work:
        return lambda: group_failures([(UUID(int=1), text * size)])

    assert not grows_too_fast(work, size=200, large=5_000)
