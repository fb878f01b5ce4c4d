"""What is a secret, and what only looks like one."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import secrets_by_kind as by_kind
import secrets_corpus as corpus
from formats.configs import Config, configs
from formats.rendering import best, report, row, table
from promptlooper_export.configs import JSON, leaves
from promptlooper_export.documents import Best, Difference, Differences, Runs
from promptlooper_export.redaction import redact, redact_text
from promptlooper_export.redaction.issuers import SHAPES, Shape

SECRETS = [*corpus.SHAPES.values(), *corpus.IN_TEXT.values()]


def redacted(config: Config) -> Best:
    found = redact(best(config))
    assert isinstance(found, Best)
    return found


def paths(document: Best | Runs) -> list[str | None]:
    return [notice.path for notice in document.warnings if notice.code == "redacted"]


@pytest.mark.parametrize("secret", corpus.SHAPES.values(), ids=corpus.SHAPES)
def test_a_known_shape_is_left_out_and_the_text_around_it_stays(secret: str) -> None:
    for before, after in (
        ("", ""),
        ("use ", " for this"),
        ('{"k":"', '"}'),
        ("=", ";"),
    ):
        assert redact_text(f"{before}{secret}{after}") == f"{before}[redacted]{after}"


# Examples of those with a condition are in the corpus.
@pytest.mark.parametrize(
    "shape",
    [row for row in SHAPES if "(?=" not in row.rest],
    ids=lambda row: row.issuer,
)
@given(data=st.data())
@settings(max_examples=5, suppress_health_check=[*HealthCheck])
def test_every_row_of_the_table_is_found(shape: Shape, data: st.DataObject) -> None:
    plain = re.sub(
        r"(?<=[}*+])\+", "", shape.rest
    )  # hypothesis knows no possessive ones
    pattern = re.compile(re.escape(shape.start) + plain, re.ASCII)
    secret = data.draw(st.from_regex(pattern, fullmatch=True))
    assert secret not in redact_text(f"use {secret} here")


@pytest.mark.parametrize("text", corpus.IN_TEXT.values(), ids=corpus.IN_TEXT)
def test_what_leads_to_a_secret_tells_of_it(text: str) -> None:
    clean = redact_text(text)
    assert corpus.PHRASE not in clean
    before, after = clean.split("[redacted]")
    assert text.startswith(before)
    assert text.endswith(after)


@pytest.mark.parametrize("key", corpus.SECRET_NAMES)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("abc", "[redacted]"),
        (["abc", "def"], ["[redacted]", "[redacted]"]),
        (
            {"user": "abc", "x": {"y": "def"}},
            {"user": "[redacted]", "x": {"y": "[redacted]"}},
        ),
    ],
)
def test_a_key_that_names_a_secret_hides_every_text_below_it(
    key: str, value: JSON, shown: JSON
) -> None:
    found = redacted({"provider": [{key: value}]})

    assert found.config == {"provider": [{key: shown}]}
    for path in paths(found):
        assert path is not None
        assert path.startswith("provider.0.")
        assert key in path


@pytest.mark.parametrize("key", corpus.SECRET_NAMES)
@pytest.mark.parametrize(
    "value", [12345, 0.5, True, None, [1, {"x": 2}], {"retries": 3}]
)
def test_a_number_or_a_truth_value_is_never_replaced(key: str, value: JSON) -> None:
    config: Config = {"provider": [{key: value}, {"name": key, "value": value}]}
    found = redacted(config)
    assert (found.config, found.warnings) == (config, ())


def test_no_secret_of_any_kind_is_left() -> None:
    assert [case for case in by_kind.hidden() if by_kind.leaks(case)] == []


def test_at_most_one_in_a_hundred_innocent_documents_is_altered() -> None:
    cases = [*by_kind.kept()]
    altered = [case for case in cases if by_kind.is_altered(case)]
    assert len(altered) * 100 <= len(cases), altered


def test_another_program_finds_no_secret_in_the_outputs() -> None:
    cases = [*by_kind.hidden()]
    assert by_kind.second_opinion(case.config for case in cases)
    assert by_kind.second_opinion(by_kind.redacted(case) for case in cases) == []


def test_both_corpora_are_large() -> None:
    assert len([*by_kind.hidden()]) >= 400
    assert len([*by_kind.kept()]) >= 400


CONFIGS = [case.config for case in (*by_kind.hidden(), *by_kind.kept())]
TEXTS = [
    text for config in CONFIGS for text in config.values() if isinstance(text, str)
]


@given(st.lists(st.sampled_from(TEXTS) | st.text(max_size=30), min_size=1, max_size=6))
def test_texts_are_redacted_alike_together_and_alone(texts: list[str]) -> None:
    together = redacted({str(place): text for place, text in enumerate(texts)}).config
    for place, text in enumerate(texts):
        alone = redacted(
            {"nested": [[f"password={corpus.PHRASE}"], {"a": text}]}
        ).config
        assert alone["nested"] == [["password=[redacted]"], {"a": together[str(place)]}]


@given(
    st.lists(st.sampled_from(CONFIGS), min_size=1, max_size=4),
    st.sampled_from([{}, {"password": corpus.PHRASE}]),
)
def test_a_quick_look_finds_what_a_close_look_finds(
    parts: list[JSON], secret: Config
) -> None:
    # A document with a secret is looked at closely, any other one only quickly.
    quick = redacted({"parts": parts})
    close = redacted({"parts": parts, **secret})
    assert quick.config["parts"] == close.config["parts"]


WORDS = sorted({word for config in CONFIGS for key in config for word in key.split()})


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    st.sampled_from(["", "_", "-", ".", " ", "2"]),
    st.sampled_from([str, str.upper, str.title, "_".join]),
)
def test_a_quick_look_misses_no_name_of_a_secret(
    words: list[str], joint: str, spell: Callable[[str], str]
) -> None:
    part: JSON = {spell(joint.join(words)): corpus.PHRASE}
    quick = redacted({"parts": [part]})
    close = redacted({"parts": [part], "password": corpus.PHRASE})
    assert quick.config["parts"] == close.config["parts"]


@pytest.mark.parametrize(("key", "value"), corpus.INNOCENTS.items())
def test_what_is_no_secret_stays(key: str, value: JSON) -> None:
    config: Config = {key: value, "nested": [{key: value}]}
    found = redacted(config)
    assert (found.config, found.warnings) == (config, ())


@pytest.mark.parametrize("key", ["api_key", "password", "token"])
@pytest.mark.parametrize("value", corpus.REFERENCES)
def test_a_reference_to_a_secret_stays(key: str, value: str) -> None:
    assert redacted({key: value}).config == {key: value}


@given(configs)
def test_redacting_twice_changes_nothing_more(config: Config) -> None:
    once = redacted(config)
    again = redact(once)
    assert isinstance(again, Best)
    assert again.config == once.config


@given(configs, st.sampled_from(SECRETS), st.sampled_from(SECRETS))
def test_a_secret_hides_wherever_it_stands(
    config: Config, first: str, second: str
) -> None:
    deep: Config = {"a": [[{"b": {"c": f"see {first} there"}}], config], second: 1}

    text = json.dumps(redacted({**config, "deep": deep}).config, ensure_ascii=False)

    for secret in (first, second):
        hidden = corpus.PHRASE if corpus.PHRASE in secret else secret
        assert json.dumps(hidden, ensure_ascii=False)[1:-1] not in text


def test_keys_that_become_equal_both_stay() -> None:
    first, second = corpus.SHAPES["OpenAI"], corpus.SHAPES["GitHub"]

    found = redacted({first: 1, second: 2})

    assert found.config == {"[redacted]": 1, "[redacted] 2": 2}
    assert paths(found) == ['"[redacted]"', '"[redacted] 2"']


def test_a_config_without_secrets_is_the_same_object() -> None:
    config: Config = {"model": {"name": "m", "max_tokens": 5}, "stop": ["\n"]}
    assert redacted(config).config is config


def test_names_and_warnings_of_an_experiment_are_redacted() -> None:
    secret = corpus.SHAPES["OpenAI"]
    found = redact(best({}, experiment_name=f"with {secret}"))
    assert isinstance(found, Best)
    assert found.experiment_name == "with [redacted]"
    assert paths(found) == ["experiment_name"]


def test_scorers_may_be_called_after_secrets() -> None:
    scores = {"secret_leakage": 0.5, "password": 1.0}
    assert redact(best({}, scores=scores)) == best({}, scores=scores)


def test_a_difference_is_redacted_by_the_keys_on_its_path() -> None:
    difference = Difference(
        path="provider.credentials.user",
        winner="a", has_winner=True, runner_up="b", has_runner_up=True,
        usual=None, has_usual=False, share=0.5,
    )  # fmt: skip
    differences = Differences(compared=1, parameters=(difference,))

    found = redact(report(differences=differences))

    assert not isinstance(found, Best | Runs)
    assert found.differences is not None
    [shown] = found.differences.parameters
    assert (shown.winner, shown.runner_up, shown.usual) == (
        "[redacted]",
        "[redacted]",
        None,
    )


def test_rows_are_redacted_as_they_are_read_and_columns_keep_up() -> None:
    secret = corpus.SHAPES["GitHub"]
    rows = (
        row(
            {"auth": {"user": "abc"}, secret: 1},
            error=f"401 for {secret}",
            tags=[secret],
        ),
        row({"auth": {"pin": "def"}}),
    )

    found = redact(table(*rows))

    assert isinstance(found, Runs)
    assert found.columns.config == ('"[redacted]"', "auth.pin", "auth.user")
    first, second = found.rows
    assert first.config == {"auth": {"user": "[redacted]"}, "[redacted]": 1}
    assert (first.error, first.tags) == ("401 for [redacted]", ["[redacted]"])
    assert second.config == {"auth": {"pin": "[redacted]"}}
    assert paths(found) == [
        "auth.user",
        '"[redacted]"',
        "error",
        "tags.0",
        "auth.pin",
    ]


@given(configs)
@example({"a.b\\": {"c": 1}, 'd"\\': {"\\": {'\\"': 2}}})
@settings(max_examples=30)
def test_every_leaf_of_a_redacted_run_has_a_column(config: Config) -> None:
    found = redact(table(row({**config, "api_key": corpus.PHRASE})))

    [one] = found.rows
    assert one.config is not None
    assert {path for path, _ in leaves(one.config)} == {*found.columns.config}
