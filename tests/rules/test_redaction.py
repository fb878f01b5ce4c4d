"""What is a secret, and what only looks like one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import secrets_corpus as corpus
from formats.configs import Config, configs
from formats.rendering import best, report, row, table
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Difference, Differences, Runs
from promptlooper_export.redaction import redact, redact_text

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


@pytest.mark.parametrize("text", corpus.IN_TEXT.values(), ids=corpus.IN_TEXT)
def test_what_leads_to_a_secret_tells_of_it(text: str) -> None:
    clean = redact_text(text)
    assert corpus.PHRASE not in clean
    before, after = clean.split("[redacted]")
    assert text.startswith(before)
    assert text.endswith(after)


@pytest.mark.parametrize("key", corpus.SECRET_NAMES)
@pytest.mark.parametrize("value", ["abc", 12345, ["a", "b"], {"user": "u", "x": "y"}])
def test_a_key_that_names_a_secret_hides_the_whole_value(key: str, value: JSON) -> None:
    found = redacted({"provider": [{key: value}]})

    assert found.config == {"provider": [{key: "[redacted]"}]}
    [path] = paths(found)
    assert path is not None
    assert path.startswith("provider.0.")
    assert key in path


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
    assert found.columns.config == ('"[redacted]"', "auth")
    first, second = found.rows
    assert first.config == {"auth": "[redacted]", "[redacted]": 1}
    assert (first.error, first.tags) == ("401 for [redacted]", ["[redacted]"])
    assert second.config == {"auth": "[redacted]"}
    assert paths(found) == ["auth", '"[redacted]"', "error", "tags.0"]


@pytest.mark.parametrize(
    "text",
    ["sk-", "://a:", "token=", "bearer ", "password ", "key=a1", "a@", "eyJaaaaaaaa."],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    # Quadratic patterns would take minutes; the suite's own limit ends them.
    assert redact_text(text * 100_000)
