"""Is the winner better than that of another experiment?"""

import logging
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from scipy import stats
from werkzeug.test import TestResponse

from builders import experiment, run
from databases import Database
from planted import Configs, plant
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.store import state
from webservice import Service, problem, settings_for

random = np.random.default_rng(7)

MISSING = UUID(int=0xEF)


def cases(mean: float, count: int = 40, noise: float = 0.05) -> dict[str, float]:
    return {
        f"case {i}": float(mean + np.sin(i) / 10 + random.normal(0, noise))
        for i in range(count)
    }


def runs(mean: float, count: int = 5, noise: float = 0.01) -> list[float]:
    return [float(mean + random.normal(0, noise)) for _ in range(count)]


HARD = cases(0.5)
WON = cases(0.8)

PLANTED: dict[str, tuple[Configs, Configs, str, str | None]] = {
    "better by case": ({"a": WON}, {"b": cases(0.6)}, "better", "paired by case"),
    "worse by case": ({"b": cases(0.6)}, {"a": WON}, "worse", "paired by case"),
    "tied by case": (
        {"a": HARD},
        {"b": {case: score - 0.001 for case, score in HARD.items()}},
        "tied",
        "paired by case",
    ),
    "better by runs": (
        {"a": runs(0.8)},
        {"b": runs(0.6)},
        "better",
        "Welch over runs",
    ),
    "the same config, judged again": (
        {"a": runs(0.8)},
        {"a": runs(0.6)},
        "better",
        "Welch over runs",
    ),
    "other cases": (
        {"a": WON},
        {"b": {f"other {i}": 0.5 for i in range(40)}},
        "not enough data",
        None,
    ),
    "one run of each": ({"a": [0.9]}, {"b": [0.1]}, "not enough data", None),
    "all the same": (
        {"a": [0.5] * 9},
        {"b": [0.5] * 9},
        "not enough data",
        None,
    ),
    "luck among many": (
        {f"a{i}": cases(0.6, count=8, noise=0.2) for i in range(40)},
        {"b": cases(0.6, count=8, noise=0.2)},
        "not enough data",
        "paired by case",
    ),
}


def ask(
    service: Service,
    first: ExperimentRecord,
    second: ExperimentRecord | UUID,
    query: str = "",
    **claims: Any,  # noqa: ANN401
) -> TestResponse:
    other = second if isinstance(second, UUID) else second.id
    path = f"/experiments/{first.id}/export?format=report-json&against={other}{query}"
    return service.ask(path, **claims)


def compared(
    service: Service,
    first: ExperimentRecord,
    second: ExperimentRecord,
    query: str = "",
) -> dict[str, Any]:
    answer = ask(service, first, second, query)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()["against"]
    return found


def loaded(database: Database, *scores: float, **fields: Any) -> ExperimentRecord:  # noqa: ANN401
    written = experiment(
        *(run({"accuracy": score, "cost": 0.1}, tags=None) for score in scores),
        **fields,
    )
    database.load(written)
    return written


@pytest.mark.parametrize("truth", PLANTED)
def test_the_verdict_is_no_more_than_the_data_hold(
    database: Database, service: Service, truth: str
) -> None:
    mine, theirs, expected, method = PLANTED[truth]
    first, second = plant(database, mine), plant(database, theirs)
    found = compared(service, first, second)
    assert found["outcome"] == found["verdict"]["verdict"] == expected
    assert found["verdict"]["method"] == method
    assert found["verdict"]["against"] == "experiment"
    assert found["summary"] == found["verdict"]["summary"]
    assert found["experiment_id"] == str(second.id)
    assert found["experiment_name"] == second.name
    assert found["winner"] == found["verdict"]["other"]
    assert (found["differing"], found["forced"], found["tags"]) == ([], False, [])


def test_the_difference_is_the_one_of_an_independent_computation(
    database: Database, service: Service
) -> None:
    mine = [cases(0.8 - i / 10) for i in range(4)]
    theirs = [cases(0.7 - i / 10) for i in range(3)]
    first = plant(database, {f"a{i}": scores for i, scores in enumerate(mine)})
    second = plant(database, {f"b{i}": scores for i, scores in enumerate(theirs)})
    verdict = compared(service, first, second)["verdict"]
    expected = stats.ttest_rel(list(mine[0].values()), list(theirs[0].values()))
    # Both winners were chosen: the larger number of configs counts.
    bounds = expected.confidence_interval(1 - 0.05 / 4)
    assert verdict["confidence"] == pytest.approx(1 - 0.05 / 4)
    assert [verdict["low"], verdict["high"]] == pytest.approx(list(bounds), rel=1e-9)
    backwards = compared(service, second, first)["verdict"]
    assert backwards["difference"] == pytest.approx(-verdict["difference"])
    assert backwards["low"] == pytest.approx(-verdict["high"])


RULE: dict[str, JSON] = {
    "weights": {"accuracy": 1, "cost": 0.5},
    "directions": {"cost": "minimize"},
    "required": ["accuracy"],
}
SPACE: JSON = {"temperature": [0, 1]}

MUTATIONS: dict[str, tuple[str, dict[str, JSON], JSON]] = {
    "another weight": (
        "weights",
        RULE | {"weights": {"accuracy": 1, "cost": 0.25}},
        SPACE,
    ),
    "one weight less": ("weights", RULE | {"weights": {"accuracy": 1}}, SPACE),
    "no weights": ("weights", RULE | {"weights": {}}, SPACE),
    "another direction": (
        "directions",
        RULE | {"directions": {"cost": "maximize"}},
        SPACE,
    ),
    "no directions": ("directions", RULE | {"directions": {}}, SPACE),
    "another direction for all": ("directions", RULE | {"direction": "min"}, SPACE),
    "one required scorer more": (
        "required",
        RULE | {"required": ["accuracy", "cost"]},
        SPACE,
    ),
    "no required scorer": ("required", RULE | {"required": []}, SPACE),
    "another value of a parameter": ("parameter_space", RULE, {"temperature": [0, 2]}),
    "another parameter": ("parameter_space", RULE, {"top_k": [0, 1]}),
    "a truth value for a number": (
        "parameter_space",
        RULE,
        {"temperature": [False, True]},
    ),
    "no parameter space": ("parameter_space", RULE, None),
}

SAME: dict[str, tuple[dict[str, JSON], JSON]] = {
    "the order of members": (dict(reversed(RULE.items())), SPACE),
    "spelled otherwise": (
        RULE | {"directions": {"cost": "MIN", "accuracy": "maximise"}},
        {"temperature": [0.0, 1.0]},
    ),
    "a default said": (RULE | {"direction": "maximize"}, SPACE),
    "what is not understood": (
        RULE | {"note": "new", "required": ["accuracy", 7]},
        SPACE,
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_gives_scores_another_meaning_is_named_and_prevents_a_verdict(
    database: Database, service: Service, mutation: str
) -> None:
    field, rule, space = MUTATIONS[mutation]
    first = loaded(database, 0.9, 0.8, scoring_config=RULE, parameter_space=SPACE)
    second = loaded(database, 0.4, 0.3, scoring_config=rule, parameter_space=space)
    found = compared(service, first, second)
    assert found["differing"] == [field]
    assert (found["verdict"], found["forced"]) == (None, False)
    assert found["outcome"] == "not comparable"
    assert field in found["summary"]
    assert "force=1" in found["summary"]
    assert found["winner"]["runs"] == 2
    forced = compared(service, first, second, "&force=1")
    assert forced["differing"] == [field]
    assert forced["forced"]
    assert forced["outcome"] == forced["verdict"]["verdict"]
    assert f"Forced, although the experiments differ in {field}." in forced["summary"]
    assert compared(service, first, second, "&force=0") == found


@pytest.mark.parametrize("spelling", SAME)
def test_two_ways_to_write_one_rule_are_comparable(
    database: Database, service: Service, spelling: str
) -> None:
    rule, space = SAME[spelling]
    first = loaded(database, 0.9, 0.8, scoring_config=RULE, parameter_space=SPACE)
    second = loaded(database, 0.4, 0.3, scoring_config=rule, parameter_space=space)
    found = compared(service, first, second, "&force=1")
    assert (found["differing"], found["forced"]) == ([], False)


def test_other_scorers_prevent_a_verdict(database: Database, service: Service) -> None:
    first = loaded(database, 0.9, 0.8)
    second = experiment(*(run({"accuracy": score}) for score in (0.4, 0.3)))
    # By a scorer without a finite judgement, no run has a score.
    third = experiment(
        *(run({"accuracy": x, "cost": x, "fun": None}) for x in (0.4, 0.3))
    )
    database.load(second, third)
    assert compared(service, first, second)["differing"] == ["scorers"]
    assert compared(service, first, third)["differing"] == []


def test_one_rule_for_both_makes_them_comparable(
    database: Database, service: Service
) -> None:
    first = loaded(database, 0.9, 0.8, scoring_config=RULE)
    second = loaded(database, 0.4, 0.3, scoring_config={"weights": {"accuracy": 3}})
    assert compared(service, first, second)["outcome"] == "not comparable"
    query = "&weights=accuracy:1&directions=cost:minimize&required=accuracy"
    found = compared(service, first, second, query)
    assert found["differing"] == []
    assert found["verdict"]["difference"] == pytest.approx(0.85 - 0.35)


def test_what_the_other_winner_has_otherwise_is_listed(
    database: Database, service: Service
) -> None:
    mine: JSON = {"model": "new", "api_key": "sk-not-shown-1234567890"}
    theirs: JSON = {
        "model": "old",
        "api_key": "hunter2hunter2",
        **{f"p{i:02}": i for i in range(30)},
    }
    first, second = (
        experiment(run({"accuracy": 0.5}, config=config)) for config in (mine, theirs)
    )
    database.load(first, second)
    found = compared(service, first, second)
    assert (len(found["deviations"]), found["further"]) == (20, 12)
    by_path = {one["path"]: one for one in found["deviations"]}
    assert by_path["model"] == {
        "path": "model",
        "winner": "new",
        "has_winner": True,
        "other": "old",
        "has_other": True,
    }
    assert by_path["api_key"]["other"] == "[redacted]"
    assert not by_path["p00"]["has_winner"]


def tagged(scores: dict[str, list[float]], config: JSON, tags: Any) -> Any:  # noqa: ANN401
    return [
        run({"accuracy": score}, config=config, tags=tags(name))
        for name, found in scores.items()
        for score in found
    ]


@pytest.mark.parametrize("kind", ["object", "list"])
def test_a_reversed_subgroup_is_seen(
    database: Database, service: Service, kind: str
) -> None:
    def tags(name: str) -> JSON:
        return {"lang": name, "n": 1} if kind == "object" else [name, "all"]

    mine = {"en": runs(0.9, 20), "de": runs(0.4, 6)}
    theirs = {"en": runs(0.5, 20), "de": runs(0.6, 6)}
    first = experiment(*tagged(mine, {"model": "new"}, tags))
    second = experiment(*tagged(theirs, {"model": "old"}, tags))
    database.load(first, second)
    found = compared(service, first, second)
    assert found["outcome"] == "better"
    by_tag = [(one["tag"], one["verdict"]["verdict"]) for one in found["tags"]]
    prefix, every = ("lang=", "n=1") if kind == "object" else ("", "all")
    assert by_tag == [
        (every, "better"),
        (f"{prefix}en", "better"),
        (f"{prefix}de", "worse"),
    ]
    assert [one["runs"] for one in found["tags"]] == [[26, 26], [20, 20], [6, 6]]
    assert found["summary"].endswith("By tag: 2 better, 1 worse.")
    reversed_ = found["tags"][2]["verdict"]
    difference = np.mean(mine["de"]) - np.mean(theirs["de"])
    assert reversed_["difference"] == pytest.approx(difference)
    assert reversed_["confidence"] == pytest.approx(1 - 0.05 / 3)


def test_tags_are_paired_by_case_as_well(database: Database, service: Service) -> None:
    first, second = plant(database, {"a": WON}), plant(database, {"b": cases(0.6)})
    database.execute("UPDATE runs SET tags = ?", '["nightly"]')
    [found] = compared(service, first, second)["tags"]
    assert found["tag"] == "nightly"
    assert found["verdict"]["method"] == "paired by case"
    assert found["verdict"]["verdict"] == "better"


def test_only_tags_that_runs_of_both_have_are_listed_and_only_20(
    database: Database, service: Service
) -> None:
    def made(own: str) -> ExperimentRecord:
        common = [f"t{i:02}" for i in range(25)]
        return experiment(
            run({"accuracy": 0.5}, tags=[*common, own, "x" * 201]),
            run({"accuracy": 0.6}, tags=["t24"]),
            run({"accuracy": 0.6}, tags="text"),
            run(status="failed", tags=["t23"]),
        )

    first, second = made("mine"), made("theirs")
    database.load(first, second)
    found = compared(service, first, second)
    names = [one["tag"] for one in found["tags"]]
    assert names == ["t24", *(f"t{i:02}" for i in range(19))]
    assert found["further_tags"] == 5


def test_secrets_of_the_other_experiment_are_left_out(
    database: Database, service: Service
) -> None:
    secret = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0" * 2
    first, second = (
        experiment(
            run(
                {"accuracy": 0.5},
                config={"i": i},
                tags={"api_key": "hunter2hunter2", "note": secret},
            ),
            name=f"with {secret}",
        )
        for i in (1, 2)
    )
    database.load(first, second)
    answer = ask(service, first, second)
    text = answer.get_data(as_text=True)
    assert [one["tag"] for one in answer.get_json()["against"]["tags"]] == [
        "api_key=[redacted]",
        "note=[redacted]",
    ]
    assert secret not in text
    assert "hunter2hunter2" not in text
    shown = ask(
        service, first, second, "&redact=off",
        scopes=("export:report", "export:unredacted"),
    )  # fmt: skip
    assert "api_key=hunter2hunter2" in shown.get_data(as_text=True)


@pytest.mark.parametrize("which", ["first", "second", "both"])
def test_without_a_winner_there_is_not_enough_data(
    database: Database, service: Service, which: str
) -> None:
    first = experiment(*([] if which != "second" else [run({"accuracy": 0.5})]))
    second = experiment(*([] if which != "first" else [run({"accuracy": 0.5})]))
    database.load(first, second)
    for query in ("", "&force=1"):
        found = compared(service, first, second, query)
        assert (found["outcome"], found["verdict"]) == ("not enough data", None)
        assert found["differing"] == []
        assert "no completed run" in found["summary"]
    for name in ("markdown", "html"):
        path = f"/experiments/{first.id}/export?format={name}&against={second.id}"
        assert found["summary"] in service.ask(path).get_data(as_text=True)


def test_scores_at_the_end_of_the_range_give_no_verdict(
    database: Database, service: Service
) -> None:
    first, second = loaded(database, 0.5, 0.6), loaded(database, 1e308, 1e308)
    found = compared(service, first, second)
    assert (found["outcome"], found["verdict"]) == ("not enough data", None)
    assert found["winner"] is None


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_a_report_says_it_in_a_sentence(
    database: Database, service: Service, name: str
) -> None:
    first, second = plant(database, {"a": WON}), plant(database, {"b": cases(0.6)})
    summary = compared(service, first, second)["summary"]
    path = f"/experiments/{first.id}/export?format={name}"
    shown = service.ask(f"{path}&against={second.id}").get_data(as_text=True)
    plain = service.ask(path).get_data(as_text=True)
    for part in summary.split("'"):
        assert part in shown
    assert summary.split("'")[0] not in plain


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("against=", "against"),
        ("against=x", "against"),
        (f"against={{{MISSING}}}", "against"),
        (f"against={MISSING}", "against"),
        ("against={id}", "against"),
        ("against={id}&force=1", "against"),
        ("force=1", "force"),
        ("force=0", "force"),
        ("against={other}&force=yes", "force"),
        ("against={other}&force=1&force=1", "force"),
        ("against={other}&weights=fun:1", "weights"),
        ("against={other}&by=config&min_runs=3", "min_runs"),
    ],
)
def test_a_comparison_that_means_nothing_is_refused(
    database: Database, service: Service, query: str, parameter: str
) -> None:
    first, second = loaded(database, *[0.5] * 3), loaded(database, 0.5)
    query = query.replace("{id}", first.id.hex).replace("{other}", str(second.id))
    path = f"/experiments/{first.id}/export?format=report-json&{query}"
    found = problem(service.ask(path), 422, "invalid-parameter")
    assert found["parameter"] == parameter


@pytest.mark.parametrize("name", ["json", "csv"])
def test_only_a_report_is_compared(
    database: Database, service: Service, name: str
) -> None:
    first, second = loaded(database, 0.5), loaded(database, 0.5)
    path = f"/experiments/{first.id}/export?format={name}&against={second.id}"
    assert (
        problem(service.ask(path), 422, "invalid-parameter")["parameter"] == "against"
    )


def test_an_experiment_that_is_hidden_and_one_that_is_missing_answer_alike(
    database: Database, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    first, hidden = loaded(database, 0.5), loaded(database, 0.9, name="top secret")
    state.grant(database.url, None, hidden.id, "user:ada")
    ask(service, first, first)  # opens connections, and keeps what is first's
    answers = []
    for other in (hidden.id, MISSING, hidden.id):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="peewee"):
            answer = ask(service, first, other, subject="eve")
        sent = [row.msg for row in caplog.records if row.name == "peewee"]
        found = problem(answer, 422, "invalid-parameter")
        assert found.pop("parameter") == "against"
        del found["instance"]
        statements = [cast("tuple[str, object]", row)[0] for row in sent]
        answers.append((found, "ETag" in answer.headers, statements))
    # What is the same for all is kept after the first answer.
    assert answers[0][:2] == answers[1][:2]
    assert answers[1] == answers[2]
    assert ask(service, first, hidden, subject="ada").status_code == 200
    narrowed = ask(service, first, hidden, subject="ada", experiments=(first.id,))
    assert narrowed.status_code == 422


def test_who_may_not_see_the_other_experiment_is_not_told_that_it_is_unchanged(
    database: Database, service: Service
) -> None:
    first, hidden = loaded(database, 0.5), loaded(database, 0.9)
    state.grant(database.url, None, hidden.id, "user:ada")
    tag = ask(service, first, hidden, subject="ada").headers["ETag"]
    headers = {"If-None-Match": tag}
    kept = ask(service, first, hidden, headers=headers, subject="ada")
    assert kept.status_code == 304
    refused = ask(service, first, hidden, headers=headers, subject="eve")
    assert problem(refused, 422, "invalid-parameter")["parameter"] == "against"
    state.revoke(database.url, None, hidden.id, "user:ada")
    state.grant(database.url, None, hidden.id, "user:bob")
    late = ask(service, first, hidden, headers=headers, subject="ada")
    assert late.status_code == 422


def test_a_change_of_the_other_experiment_changes_the_tag(
    database: Database, service: Service
) -> None:
    first, second = loaded(database, 0.5), loaded(database, 0.9)
    answer = ask(service, first, second)
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert ask(service, first, second, headers=headers).status_code == 304
    database.execute(
        "UPDATE scores SET value = 0.1 WHERE run_id IN "
        "(SELECT id FROM runs WHERE experiment_id = ?)",
        second.id,
    )
    changed = ask(service, first, second, headers=headers)
    assert changed.status_code == 200
    assert changed.get_json()["against"]["winner"]["mean"] == pytest.approx(0.1)
    again = ask(service, first, second).headers["ETag"]
    assert again == changed.headers["ETag"] != answer.headers["ETag"]


def test_the_same_comparison_has_the_same_tag_in_another_process(
    database: Database,
) -> None:
    first, second = loaded(database, 0.5, 0.6), loaded(database, 0.9, 0.8)
    one, other = (
        ask(Service(settings_for(database.url)), first, second) for _ in range(2)
    )
    assert one.headers["ETag"] == other.headers["ETag"]
    plain = Service(settings_for(database.url))
    forced = ask(plain, first, second, "&force=1")
    assert forced.headers["ETag"] != one.headers["ETag"]
