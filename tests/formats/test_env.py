import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.configs import NASTY, Config, same, values
from formats.dotenv_readers import EXCUSES, OWN, READERS, read
from formats.rendering import Rendered, best, render
from formats.variables import variables
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover
from promptlooper_formats.env import ENV

REFUSED = {
    "both quotes and an assignment on a later line": ["prompt"],
    "both quotes and an assignment after CR": ["prompt"],
    "NUL": ["k"],
    "lone high surrogate": ["k"],
    "lone low surrogate": ["k.1.y"],
    "lone surrogate in a key": ['"a\ud800"'],
    "keys that collide": ["top-k", "top_k"],
    "keys that collide by case": ["Model", "model"],
    "paths that collide": ["a.b", "a_b"],
    "keys that YAML reads otherwise": ['"="', '"~"'],
}

SHELLS = ("bash", "dash")

COMMAND = "a[$(touch canary)]"


def rendered(config: Config) -> Rendered:
    return render(ENV, best(config))


def refused_paths(config: Config) -> object:
    """Return the paths for which the config is refused, None where it is not."""
    try:
        rendered(config)
    except UnrepresentableError as refusal:
        return refusal.members["paths"]
    return None


def last_line(config: Config) -> str:
    return rendered(config).text.splitlines()[-1]


def holds(text: str | None, value: JSON) -> bool:
    if text is None:
        return False
    if value is None or isinstance(value, str):
        return text == (value or "")
    return same(json.loads(text), value)


def unexplained(config: Config, file: Rendered, reader: str) -> list[str]:
    """Name the variables that a reader changed, lost or made up without a warning."""
    found = read(reader, file.body)
    excused = {notice.path for notice in file.notices if notice.code in EXCUSES[reader]}
    wanted = variables(config)
    made_up = found.keys() - wanted.keys() - OWN
    return sorted(made_up) + [
        name
        for name, (path, value) in wanted.items()
        if path not in excused and not holds(found.get(name), value)
    ]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", [name for name in NASTY if name not in REFUSED])
def test_a_nasty_config_reads_back_identically_or_was_warned_about(
    name: str, reader: str
) -> None:
    config = NASTY[name]

    assert unexplained(config, rendered(config), reader) == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_can_hold_is_refused_by_path(name: str) -> None:
    assert refused_paths(NASTY[name]) == REFUSED[name]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "prompt", "top-k", "3d", "é"]), values))
def test_any_config_reads_back_identically_or_was_warned_about(config: Config) -> None:
    if not refused_paths(config):
        for reader in READERS:
            assert unexplained(config, rendered(config), reader) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("gpt-4", "K=gpt-4"),
        ("", "K="),
        (None, "K="),
        (True, "K=true"),
        (False, "K=false"),
        (0.7, "K=0.7"),
        (1e16, "K=1e+16"),
        ("two words", 'K="two words"'),
        ("don't", 'K="don\'t"'),
        ("#", 'K="#"'),
        ('say "hi"', "K='say \"hi\"'"),
        ("costs $5", "K='costs $5'"),
        ("a\\b", "K='a\\b'"),
        ("a\\", 'K="a\\\\"'),
        ('say "don\'t"', 'K="say \\"don\'t\\""'),
        ("it's $5 or `x`", 'K="it\'s \\$5 or \\`x\\`"'),
        ([], 'K="[]"'),
        ([1, "é"], "K='[1, \"é\"]'"),
        (["it's", "\\"], 'K=\'["it\\u0027s", "\\u005c"]\''),
        ({}, 'K="{}"'),
    ],
)
def test_a_value_stands_in_the_form_that_most_readers_read(
    value: JSON, line: str
) -> None:
    assert last_line({"k": value}) == line


def test_lines_are_sorted_by_key() -> None:
    text = rendered({"z": 1, "a": {"c": 2, "b": 3}, "M": 4}).text

    assert text.splitlines()[4:] == ["A_B=3", "A_C=2", "M=4", "Z=1"]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"model": {"name": "x"}}, "MODEL_NAME=x"),
        ({"top-k": 5}, "TOP_K=5"),
        ({"a.b c": 5}, "A_B_C=5"),
        ({"3d": 1}, "_3D=1"),
        ({"": 1}, "_=1"),
        ({"a": {"": 1}}, "A_=1"),
        ({"é": 1}, "_=1"),
        ({"a": {}}, 'A="{}"'),
    ],
)
def test_a_path_becomes_one_name(config: Config, line: str) -> None:
    assert last_line(config) == line


def test_an_empty_config_is_the_header_alone() -> None:
    assert all(line.startswith("#") for line in rendered({}).text.splitlines())
    assert rendered({}).text.endswith("\n")


def test_a_list_needs_no_warning_whatever_it_holds() -> None:
    stop: list[JSON] = ["'\"\nINJECTED=1", "\\", "\\'", "`"]

    assert rendered({"stop": stop}).notices == ()


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"k": 'say "don\'t"'}, "reader-dependent"),
        ({"k": "costs $5"}, "expansion"),
        ({"k": "a\rb"}, "carriage-return"),
        ({"k": "a\ufffe"}, "noncharacter"),
        ({"k": "é" * 70_000}, "too-long-to-export"),
        ({"path": "/data"}, "key-with-a-meaning"),
        ({"ld": {"preload": "x.so"}}, "key-with-a-meaning"),
        ({"日本": 1}, "lost-letters"),
        ({"modèle": 1}, "lost-letters"),
        ({"mode\u0301": 1}, "lost-letters"),
        ({"a": {"λ": 1}}, "lost-letters"),
    ],
)
def test_what_some_reader_changes_is_named_above_the_line_and_beside_the_file(
    config: Config, code: str
) -> None:
    file = rendered(config)

    assert file.codes == [code]
    (notice,) = file.notices
    assert f"\n# Warning: {notice.path}: {notice.message}\n" in file.text


@pytest.mark.parametrize("key", ["top-k", "top k", "a\u2013b", "straße", "a.b", "🚀x"])
def test_a_key_that_loses_no_letter_needs_no_warning(key: str) -> None:
    assert rendered({key: 1}).notices == ()


@pytest.mark.parametrize(
    "key",
    [
        *("http_proxy", "HTTPS_PROXY", "no-proxy", "all_proxy", "docker_host"),
        *("docker_config", "compose_file", "compose_project_name", "kubeconfig"),
        *("kubernetes_service_host", "node_env", "node_options", "ssl_cert_dir"),
        *("node_extra_ca_certs", "ssl_cert_file", "requests_ca_bundle"),
        *("curl_ca_bundle", "pythonwarnings", "pythonutf8", "git_ssh_command"),
        *("dyld_insert_libraries", "jdk_java_options"),
    ],
)
def test_a_name_that_programs_obey_is_warned_of(key: str) -> None:
    assert rendered({key: "x"}).codes == ["key-with-a-meaning"]
    assert render(ENV, best({key: "x"}), prefix="APP_").codes == []


@pytest.mark.parametrize("name", ["configmap", "secret", "github-output"])
def test_every_format_of_variables_warns_of_letters_and_meanings(name: str) -> None:
    document = best({"température": 1, "no_proxy": "x"})
    found = render(discover().formats[name], document).notices
    assert {(one.path, one.code) for one in found} == {
        ("no_proxy", "key-with-a-meaning"),
        ('"température"', "lost-letters"),
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_a_value_too_long_to_export_was_warned_about(shell: str) -> None:
    fits: Config = {"k": "x" * 130_000}
    too_long: Config = {"k": "x" * 140_000}

    assert rendered(fits).notices == ()
    assert unexplained(fits, rendered(fits), shell) == []
    assert rendered(too_long).codes == ["too-long-to-export"]
    assert unexplained(too_long, rendered(too_long), shell) == []


def test_every_value_with_nul_is_named() -> None:
    config: Config = {"a": "\0", "b": {"c": "x\0"}, "d": "fine", "e": ["\0"]}

    assert refused_paths(config) == ["a", "b.c"]


def shell_variables() -> list[str]:
    """Return the variables that bash has without being told any, and the risky ones."""
    done = subprocess.run(
        ["bash", "-c", "compgen -v"], env={}, capture_output=True, text=True, check=True
    )
    return sorted(
        {*done.stdout.split(), "SRANDOM", "HISTCMD", "OPTIND", "PS4", "MAILCHECK"}
    )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", shell_variables())
def test_a_variable_of_the_shells_own_reads_back_or_was_warned_about(
    name: str, shell: str
) -> None:
    config: Config = {name: "x7"}

    assert unexplained(config, rendered(config), shell) == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", shell_variables())
@pytest.mark.parametrize("value", [COMMAND, "A"])
def test_no_variable_makes_a_shell_run_what_it_is_set_to(
    name: str, value: str, shell: str
) -> None:
    config: Config = {"a": COMMAND, name: value}

    refused = refused_paths(config)

    if refused:
        assert refused == [name]
    else:
        read(shell, rendered(config).body)


@pytest.mark.parametrize("name", ["random", "optind", "histcmd", "srandom", "columns"])
def test_a_variable_that_shells_evaluate_takes_only_what_evaluates_to_itself(
    name: str,
) -> None:
    harmless: list[JSON] = [5, -1, True, None, ["question"]]
    refused: list[JSON] = [COMMAND, "`x`", "A", ["Question"]]

    for value in harmless:
        assert rendered({name: value}).codes == ["key-with-a-meaning"]
    for value in refused:
        assert refused_paths({name: value}) == [name]


def test_every_collision_is_named() -> None:
    config: Config = {"a-b": 1, "a_b": 2, "fine": 3, "c": {"d": 4}, "C_D": 5, "c.d": 6}

    with pytest.raises(UnrepresentableError, match="and C_D and") as refusal:
        rendered(config)

    assert refusal.value.members["paths"] == ["a-b", "a_b", "c.d", "C_D", '"c.d"']


def test_no_warning_is_given_without_need() -> None:
    config = NASTY["model and temperature"]

    assert render(ENV, best(config)).notices == ()


def test_warnings_of_the_document_stand_in_the_header() -> None:
    warning = Notice(code="tie", message="Two\nare best.", path="a\u2028b")

    text = render(ENV, best({"k": 1}, warnings=(warning,))).text

    assert text.splitlines()[4:] == ["# Warning: a\\u2028b: Two\\nare best.", "K=1"]
