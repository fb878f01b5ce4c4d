"""A rule in the request instead of the experiment's own, over HTTP."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord
from webservice import Service, problem

ID = UUID("2f1c4d5e-6a7b-4c8d-9e0f-a1b2c3d4e5f6")
PATH = f"/experiments/{ID}/export"

SCORERS = ["accuracy", "cost", "a:b", "a,b", " c"]


def runs_record(**fields: Any) -> ExperimentRecord:  # noqa: ANN401  of the builder
    return experiment(
        run({"accuracy": 0.9, "cost": 9.0}, config={"model": "large"}),
        run({"accuracy": 0.8, "cost": 1.0}, config={"model": "small"}),
        run({"accuracy": 1.0}, config={"model": "free"}),
        id=ID,
        **fields,
    )


def winner(service: Service, query: str) -> str:
    document = service.ask(f"{PATH}?format=json&{query}").get_json()
    model: str = document["config"]["model"]
    return model


@pytest.mark.parametrize(
    ("query", "model"),
    [
        ("", "large"),
        ("weights=accuracy:1", "free"),
        ("directions=cost:minimize", "free"),
        ("directions=cost:minimize&required=cost,accuracy", "small"),
        ("weights=accuracy:0.9,cost:0.1&directions=cost:MIN", "free"),
        ("weights=accuracy:.9,%20cost:.1&directions=cost:min&required=cost", "small"),
        ('weights={"accuracy":1}&required=["cost"]', "large"),
    ],
)
def test_the_rule_of_the_request_chooses_the_winner(
    service: Service, database: Database, query: str, model: str
) -> None:
    database.load(runs_record())
    assert winner(service, query) == model


def test_what_is_given_replaces_that_member_of_the_stored_rule_only(
    service: Service, database: Database
) -> None:
    database.load(
        runs_record(
            weights={"accuracy": 1.0, "cost": 1.0},
            directions={"cost": "minimize"},
            required=["cost"],
        )
    )
    assert winner(service, "") == "small"
    assert winner(service, "weights=accuracy:1") == "large"
    assert winner(service, "weights=accuracy:1&required=[]") == "free"
    assert winner(service, "directions={}") == "large"


@pytest.mark.parametrize(
    "query", ["format=json&", "format=markdown&", "format=report-json&", "format=env&"]
)
def test_a_notice_says_which_rule_was_used(
    service: Service, database: Database, query: str
) -> None:
    database.load(runs_record(weights={"cost": 1.0}))
    response = service.ask(f"{PATH}?{query}weights=accuracy:0.5&required=accuracy")
    first = json.loads(response.headers["X-Export-Warnings"])[0]
    assert first["code"] == "what-if"
    assert (
        '{"weights": {"accuracy": 0.5}, "required": ["accuracy"]}' in first["message"]
    )


def test_a_report_shows_the_stored_rule_and_statistics_by_the_one_that_was_used(
    service: Service, database: Database
) -> None:
    database.load(runs_record(weights={"accuracy": 1.0}))
    asked = "format=report-json&weights=cost:2&directions=cost:minimize"
    report = service.ask(f"{PATH}?{asked}").get_json()
    assert report["experiment"]["scoring_config"] == {"weights": {"accuracy": 1.0}}
    accuracy, cost = report["scorers"]
    assert (accuracy["weight"], accuracy["direction"]) == (None, "maximize")
    assert (cost["weight"], cost["direction"]) == (2.0, "minimize")


def test_answers_by_different_rules_never_mix(
    service: Service, database: Database
) -> None:
    database.load(runs_record())
    queries = ["", "weights=accuracy:1", "directions=cost:minimize&required=cost"]
    tags = {query: service.ask(f"{PATH}?{query}").headers["ETag"] for query in queries}
    assert len(set(tags.values())) == len(queries)
    for query in queries * 2:
        for other, tag in tags.items():
            again = service.ask(f"{PATH}?{query}", headers={"If-None-Match": tag})
            assert again.status_code == (304 if query == other else 200)
    assert [winner(service, query) for query in queries] == ["large", "free", "small"]


def test_an_answer_by_any_rule_is_right_at_once_after_a_change(
    service: Service, database: Database
) -> None:
    database.load(runs_record())
    queries = ["", "weights=accuracy:1", "by=config&weights=accuracy:1"]
    before = [winner(service, query) for query in queries]
    assert before == ["large", "free", "free"]
    database.execute("UPDATE scores SET value = 2 WHERE value = 0.8")
    assert [winner(service, query) for query in queries] == ["large", "small", "small"]


def test_two_ways_to_write_a_rule_are_one_representation(
    service: Service, database: Database
) -> None:
    database.load(runs_record())
    ways = [
        "weights=cost:1,accuracy:2",
        "weights=accuracy:2.0,cost:1e0",
        'weights={"accuracy": 2, "cost": 1}',
    ]
    tags = {service.ask(f"{PATH}?{query}").headers["ETag"] for query in ways}
    assert len(tags) == 1


def test_the_classic_paths_take_a_rule_as_well(
    service: Service, database: Database
) -> None:
    database.load(runs_record())
    classic = service.ask(f"/api/export/experiments/{ID}/best?weights=accuracy:1")
    assert classic.get_json()["config"] == {"model": "free"}


def test_a_colon_in_the_name_of_a_scorer_needs_no_quotes(
    service: Service, database: Database
) -> None:
    low, high = run({"a:b": 0.1, "a": 9.0}), run({"a:b": 0.2, "a": 1.0})
    database.load(experiment(low, high, id=ID))
    found = service.ask(f"{PATH}?weights=a:b:1").get_json()
    assert (found["run_id"], found["weighted_score"]) == (str(high.id), 0.2)


def test_json_can_name_any_scorer(service: Service, database: Database) -> None:
    low, high = run({" a,{b": 0.1, "a": 9.0}), run({" a,{b": 0.2, "a": 1.0})
    database.load(experiment(low, high, id=ID))
    rule = {"weights": '{" a,{b": 1}', "required": '[" a,{b"]'}
    found = service.ask(f"{PATH}?{urlencode(rule)}").get_json()
    assert (found["run_id"], found["weighted_score"]) == (str(high.id), 0.2)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("weights", "", "scorer:number"),
        ("weights", "accuracy", "'accuracy' must look like scorer:number"),
        ("weights", ":1", "':1' must look like scorer:number"),
        ("weights", "accuracy:1,", "scorer:number"),
        ("weights", "accuracy:high", "The weight of 'accuracy' is not a finite number"),
        ("weights", "accuracy:nan", "The weight of 'accuracy' is not a finite number"),
        ("weights", "accuracy:1e999", "'accuracy' is not a finite number"),
        ("weights", "accuracy:-inf", "'accuracy' is not a finite number"),
        ("weights", "accuracy:1_0", "'accuracy' is not a finite number"),
        ("weights", "accuracy:\N{ARABIC-INDIC DIGIT FIVE}", "not a finite number"),
        ("weights", "accuracy:1,cost:2,accuracy:3", "'accuracy' is there twice"),
        ("weights", '{"a":1,"a":2}', "'a' is there twice"),
        ("weights", '{"a":true}', "The weight of 'a' is not a finite number"),
        ("weights", '{"a":NaN}', "NaN is not a JSON value"),
        ("weights", '{"a":1', "begins like JSON"),
        ("weights", "[" * 3000, "must look like"),
        ("weights", '{"a":' * 700, "begins like JSON"),
        ("weights", "a\0:1", "no scorer is called"),
        ("weights", '{"\\ud800":1}', "no scorer is called"),
        ("directions", "cost:minimise_", "did you mean minimize?"),
        ("directions", "cost:down", "neither maximize nor minimize"),
        ("directions", '{"cost":1}', "neither maximize nor minimize"),
        ("directions", "cost:min,cost:max", "'cost' is there twice"),
        ("required", "a,,b", "scorer"),
        ("required", "a,b,a", "'a' is there twice"),
        ("required", "[1]", "1 is not the name of a scorer"),
        ("required", '["a","a"]', "'a' is there twice"),
        ("required", "a\0", "no scorer is called"),
        ("required", "[" * 3000, "begins like JSON"),
    ],
)
def test_what_is_no_rule_is_refused_before_the_database_is_asked(
    service_without_database: Service, parameter: str, value: str, said: str
) -> None:
    query = urlencode({parameter: value})
    document = problem(
        service_without_database.ask(f"{PATH}?{query}"), 422, "invalid-parameter"
    )
    assert document["parameter"] == parameter
    assert said in document["detail"]


@pytest.mark.parametrize("format", ["json", "report-json"])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("weights", "accuracy:1,acuracy:2"),
        ("directions", "acuracy:minimize"),
        ("required", "acuracy"),
    ],
)
def test_a_scorer_that_no_run_has_is_refused_with_the_nearest(
    service: Service, database: Database, format: str, parameter: str, value: str
) -> None:
    database.load(runs_record())
    for _ in range(2):  # computed and kept
        response = service.ask(f"{PATH}?format={format}&{parameter}={value}")
        document = problem(response, 422, "invalid-parameter")
        assert document["parameter"] == parameter
        assert "'acuracy'" in document["detail"]
        assert "did you mean 'accuracy'?" in document["detail"]
        assert document["allowed"] == ["accuracy", "cost"]


def test_before_there_are_scores_no_scorer_is_unknown(
    service: Service, database: Database
) -> None:
    database.load(experiment(run({}), id=ID))
    problem(service.ask(f"{PATH}?weights=accuracy:1"), 404, "no-scored-runs")
    report = service.ask(f"{PATH}?format=report-json&weights=accuracy:1").get_json()
    assert report["winner"] is None


@pytest.mark.parametrize("name", ["csv", "ndjson"])
@pytest.mark.parametrize("query", ["weights=a:1", "directions=a:min", "required=a"])
def test_a_rule_belongs_to_documents_with_a_winner(
    service_without_database: Service, name: str, query: str
) -> None:
    response = service_without_database.ask(f"{PATH}?format={name}&{query}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == query.partition("=")[0]
    assert "best or report" in document["detail"]


@pytest.mark.parametrize("weights", ["accuracy:-1", "accuracy:0", "cost:-1,accuracy:1"])
def test_a_weight_may_be_what_a_stored_one_may_be(
    service: Service, database: Database, weights: str
) -> None:
    database.load(runs_record())
    document = service.ask(f"{PATH}?weights={weights}").get_json()
    codes = [notice["code"] for notice in document["warnings"]]
    assert {"negative-weight", "weights-sum"} & set(codes)


NUMBERS = st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, -1.0, 1e-200, 1e200])
SCORES = st.dictionaries(
    st.sampled_from(SCORERS),
    st.sampled_from([0.0, 0.1, 0.2, 0.3, -1.0, 1e120]),
    max_size=4,
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "weights": st.dictionaries(st.sampled_from(SCORERS), NUMBERS, max_size=3),
        "directions": st.dictionaries(
            st.sampled_from(SCORERS), st.sampled_from(["maximize", "minimize"])
        ),
        "required": st.lists(st.sampled_from(SCORERS), unique=True, max_size=2),
    },
)


def in_order(rule: Mapping[str, Any]) -> dict[str, JSON]:
    """Return a rule in the order in which a request's is read."""
    return {
        member: dict(sorted(value.items()))
        if isinstance(value, dict)
        else sorted(value)
        for member, value in rule.items()
    }


def bare(service: Service, path: str) -> tuple[int, Any]:
    """Return an answer without what may differ: the notice and the stored rule."""
    response = service.ask(path)
    document = response.get_json()
    document.pop("instance", None)
    if "warnings" in document:
        document["warnings"] = [
            row for row in document["warnings"] if row["code"] != "what-if"
        ]
    if "experiment" in document:
        del document["experiment"]["scoring_config"]
    return response.status_code, document


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    scores=st.lists(SCORES, min_size=1, max_size=6),
    stored=RULES,
    asked=RULES.filter(bool),
)
def test_the_answer_is_that_of_an_experiment_stored_with_the_rule(
    service: Service,
    database: Database,
    scores: list[dict[str, float]],
    stored: dict[str, JSON],
    asked: dict[str, JSON],
) -> None:
    every = run(dict.fromkeys(SCORERS, 0.1))  # so that no scorer is unknown
    runs = [every, *map(run, scores)]
    record = experiment(*runs, id=uuid4(), scoring_config=in_order(stored))
    database.load(record)
    query = urlencode({name: json.dumps(value) for name, value in asked.items()})
    paths = [
        f"/experiments/{record.id}/export?reproducible=1&format={name}"
        for name in ("json", "report-json")
    ]
    answers = [bare(service, f"{path}&{query}") for path in paths]
    database.execute(
        "UPDATE experiments SET scoring_config = ? WHERE id = ?",
        json.dumps({**in_order(stored), **in_order(asked)}),
        record.id,
    )
    assert answers == [bare(service, path) for path in paths]
