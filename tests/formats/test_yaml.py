import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given

from fidelity.readers import READERS as REAL_READERS
from formats.configs import NASTY, Config, configs, same
from formats.rendering import Rendered, best, render
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnrepresentableError
from promptlooper_formats.yaml import YAML

READERS: dict[str, type[yaml.SafeLoader | yaml.CSafeLoader]] = {
    "libyaml": yaml.CSafeLoader,
    "PyYAML": yaml.SafeLoader,
}

SURROGATES = {
    "lone high surrogate": ("k",),
    "lone low surrogate": ("k.1.y",),
    "lone surrogate in a key": ('"a\ud800"',),
}

MEMBERS = [
    "experiment_name", "experiment_id", "exported_at", "weighted_score", "scores",
    "run_id", "config_hash", "config", "warnings",
]  # fmt: skip

WRITABLE = [name for name in NASTY if name not in SURROGATES]

# Texts that some reader of YAML 1.1 or 1.2 takes for something else without quotes.
TRAPS = (
    "y", "Y", "n", "N", "yes", "Yes", "no", "NO", "on", "On", "off", "OFF", "true",
    "True", "false", "FALSE", "null", "Null", "NULL", "~", "none", "undefined",
    "NaN", "nan", ".nan", ".inf", "inf", "Infinity", "08", "09", "0777", "0o14",
    "0x1F", "0b1", "1e3", "1E3", "1e+3", "1.e3", ".5", "+.5", "-.5", "1", "1.0",
    "-1", "1_000", "1,000", "12:30:45", "2001-01-01", "2001-1-1", "00:00:00", "<<",
    "=", "-", "?", ":",
)  # fmt: skip


def rendered(config: Config) -> Rendered:
    return render(YAML, best(config), only="config")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", WRITABLE)
def test_a_whole_document_holds_the_config_and_what_it_is_of(
    name: str, reader: str
) -> None:
    config = NASTY[name]
    document = best(config, experiment_name="no", scores={"y": -0.5, "b": 1e-7})

    found = yaml.load(render(YAML, document).body, Loader=READERS[reader])  # noqa: S506  safe ones

    assert list(found) == MEMBERS
    assert same(found["config"], config)
    assert found["experiment_name"] == "no"
    assert found["scores"] == {"y": -0.5, "b": 1e-7}
    assert found["run_id"] == str(document.run_id)
    assert found["exported_at"] == "2026-01-02T03:04:05Z"


def test_the_warnings_stand_in_the_document_and_beside_it() -> None:
    about = Notice(code="tie", message="Two runs \ud800 are best.", path="a.\udfff")

    found = render(YAML, best({"seed": 2**53 + 1}, warnings=(about,)))

    assert [one.code for one in found.notices] == ["big-integer"]
    assert yaml.safe_load(found.body)["warnings"] == [
        {
            "code": "tie",
            "message": "Two runs \\ud800 are best.",
            "path": "a.\\udfff",
        },
        {
            "code": "big-integer",
            "message": found.notices[0].message,
            "path": "seed",
        },
    ]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", WRITABLE)
def test_a_nasty_config_reads_back_identically(name: str, reader: str) -> None:
    config = NASTY[name]

    assert same(yaml.load(rendered(config).body, Loader=READERS[reader]), config)  # noqa: S506  safe ones


@given(configs)
def test_any_config_reads_back_identically(config: Config) -> None:
    body = rendered(config).body

    for loader in READERS.values():
        assert same(yaml.load(body, Loader=loader), config)  # noqa: S506


@pytest.mark.parametrize("trap", TRAPS)
def test_text_that_may_be_taken_for_something_else_is_quoted(trap: str) -> None:
    text = rendered({"value": trap, "list": [trap], trap: 1}).text
    content = [line for line in text.splitlines() if not line.startswith("#")]

    assert "\n".join(content).count(f'"{trap}"') == 3


def test_plain_words_stand_without_quotes() -> None:
    text = rendered({"model": "gpt-4", "style": "cite the line"}).text

    assert text.splitlines()[-2:] == ["model: gpt-4", "style: cite the line"]


def test_a_prompt_of_several_lines_stands_as_it_is() -> None:
    text = rendered({"prompt": 'Say "hi".\n\n  - it\'s fine: é\n'}).text

    assert text.endswith('prompt: |\n  Say "hi".\n\n    - it\'s fine: é\n')


@pytest.mark.parametrize(
    "text",
    [
        " a\nb",
        "\ta\nb",
        "\na",
        "a \nb",
        "a\t\nb",
        "a\n\tb",
        "a\xa0b\n",
        "a\ufeffb\n",
        "a\u2028b\n",
        "a\x85b\n",
        "a\x1bb\n",
        "a" * 130,
    ],
)
def test_what_some_reader_changes_without_quotes_is_one_quoted_line(text: str) -> None:
    (line,) = rendered({"k": text}).text.splitlines()[4:]

    assert line.startswith('k: "')


def test_a_long_line_is_not_wrapped() -> None:
    text = rendered({"k": "it's a word " * 500}).text

    assert len(text.splitlines()) == 5


def test_equal_values_are_written_out_each_time() -> None:
    shared: JSON = ["a"]

    text = rendered({"one": shared, "two": {"three": shared}}).text

    assert "&" not in text
    assert "*" not in text


def test_an_empty_config_is_an_empty_mapping() -> None:
    assert rendered({}).text.splitlines()[-1] == "{}"


@pytest.mark.parametrize("name", SURROGATES)
def test_a_lone_surrogate_is_refused_by_path(name: str) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        rendered(NASTY[name])

    assert tuple(refusal.value.members["paths"]) == SURROGATES[name]  # type: ignore[arg-type]


def test_every_path_with_a_lone_surrogate_is_named() -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        rendered({"a": "\ud800", "b": "fine", "c": [{"d\udfff": {}}]})

    assert refusal.value.members["paths"] == ["a", 'c.0."d\udfff"']


def test_a_config_nested_too_deeply_to_be_written_is_refused() -> None:
    with pytest.raises(UnrepresentableError, match="nested too deeply"):
        rendered({"a": json.loads("[" * 500 + "]" * 500)})


def test_a_config_nested_deeply_reads_back() -> None:
    config: Config = {"a": json.loads('{"b":[' * 50 + "1" + "]}" * 50)}

    assert same(yaml.safe_load(rendered(config).body), config)


def test_an_integer_that_doubles_round_is_named_in_a_comment_and_beside() -> None:
    found = rendered({"deep": {"seed": 2**53 + 1}})

    assert found.notices == (
        Notice(code="big-integer", message=found.notices[0].message, path="deep.seed"),
    )
    assert f"# Warning: deep.seed: {found.notices[0].message}\ndeep:\n" in found.text


WITHOUT_LIBYAML = """
import json, sys
sys.modules["yaml._yaml"] = None
from formats.rendering import best, render
from promptlooper_formats.yaml import YAML
import yaml
assert not yaml.__with_libyaml__
configs = json.load(sys.stdin)
texts = {
    name: render(YAML, best(config), only="config").text
    for name, config in configs.items()
}
json.dump(texts, sys.stdout)
"""


def test_without_libyaml_a_config_reads_back_just_so() -> None:
    configs = {name: NASTY[name] for name in WRITABLE}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBYAML],
        cwd=Path(__file__).parents[1],
        input=json.dumps(configs),
        capture_output=True,
        text=True,
        check=True,
    )

    for name, text in json.loads(done.stdout).items():
        assert same(yaml.safe_load(text), configs[name]), name


@pytest.mark.parametrize("only", [None, "config"])
def test_a_key_that_some_readers_merge_is_warned_of(
    only: str | None, tmp_path: Path
) -> None:
    config: Config = {"a": [{"<<": {"k": 1}}], "<<": {"l": {"<<": 2}}, "m": "<<"}
    rendered = render(YAML, best(config), only=only)
    file = tmp_path / "best.yaml"
    file.write_bytes(rendered.body)

    assert [(one.code, one.path) for one in rendered.notices] == [
        ("merge-key", 'a.0."<<"'),
        ("merge-key", '"<<"'),
        ("merge-key", '"<<".l."<<"'),
    ]
    [read] = REAL_READERS["Ruby psych"]([file])
    assert isinstance(read, dict)
    merged = read if only else read["config"]
    assert merged["a"] == [{"k": 1}]
    assert merged["l"] == {"<<": 2}
