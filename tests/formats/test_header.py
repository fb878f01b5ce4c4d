"""The comment that .env and YAML files begin with."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from formats.dotenv_readers import OWN, READERS, read
from formats.rendering import best, render
from promptlooper_export.plugin import Format, UnrepresentableError
from promptlooper_formats.env import ENV
from promptlooper_formats.yaml import YAML

HOSTILE = [
    "a\nB=1",
    "a\r\nB=1",
    "a\rB=1",
    "a\u0085B=1",
    "a\u2028B=1",
    "a\u2029B=1",
    "a\x0bB=1",
    "a\x1cB=1",
    "a\0B=1",
    "a\\",
    "$(touch canary)",
    "'\"`touch canary`",
    "\ud800",
    "\u202eB=1",
]

both = pytest.mark.parametrize("format_", [ENV, YAML], ids=lambda one: one.name)


@both
def test_the_classic_header_comes_first(format_: Format[Any]) -> None:
    text = render(format_, best({"k": 1}, weighted_score=0.91666)).text

    assert text.splitlines()[:4] == [
        "# PromptLooper — Best config for: summaries",
        "# Exported: 2026-01-02T03:04:05Z",
        "# Weighted score: 0.9167",
        "# Run ID: aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    ]


@both
def test_the_moment_is_written_in_utc(format_: Format[Any]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))

    text = render(format_, best({}, exported_at=moment)).text

    assert text.splitlines()[1] == "# Exported: 2026-01-02T01:04:05Z"


@both
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_its_comment(format_: Format[Any], name: str) -> None:
    options = {"only": "config"} if format_ is YAML else {}
    text = render(format_, best({}, experiment_name=name), **options).text

    assert len(text.splitlines()) == 4 + (format_ is YAML)
    assert all(line.startswith("# ") for line in text.splitlines()[:4])
    assert not text.splitlines()[0].endswith("r: a\\")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_sets_and_runs_nothing(name: str, reader: str) -> None:
    body = render(ENV, best({}, experiment_name=name)).body

    assert read(reader, body).keys() <= OWN


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_leaves_yaml_as_it_is(name: str) -> None:
    body = render(YAML, best({"k": 1}, experiment_name=name), only="config").body

    assert yaml.safe_load(body) == {"k": 1}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "\ud800"])
def test_a_hostile_name_is_read_back_from_the_whole_document(name: str) -> None:
    body = render(YAML, best({"k": 1}, experiment_name=name)).body

    found = yaml.safe_load(body)
    assert (found["experiment_name"], found["config"]) == (name, {"k": 1})


def test_a_name_that_utf_8_cannot_hold_is_refused_by_path() -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        render(YAML, best({"k": 1}, experiment_name="a\ud800"))

    assert refusal.value.members["paths"] == ["experiment_name"]


@both
@pytest.mark.parametrize("name", ["Grüße, 世界 😀", 'it\'s "quoted"', "a: b # c"])
def test_a_name_that_people_can_read_stands_as_it_is(
    format_: Format[Any], name: str
) -> None:
    text = render(format_, best({}, experiment_name=name)).text

    assert text.splitlines()[0] == f"# PromptLooper — Best config for: {name}"
