"""Outputs of a step of GitHub Actions, read as its runner reads them."""

import hashlib
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given

from fidelity.verdicts import holds
from formats.configs import Config, configs
from formats.rendering import best, render
from formats.variables import variables
from promptlooper_export.errors import UnrepresentableError
from promptlooper_formats import github_output
from promptlooper_formats.github_output import GITHUB_OUTPUT

PIECES = ("", "a", "=", "<<", "EOF", "\n", "\r", " ", "#", "'", '"', "$", "\\", "\x85",
    "\u2028", "\ufeff", "B=2", "\nB=2\n", "B<<EOF\nx\nEOF\n")  # fmt: skip


def runner(text: str, *, windows: bool = False) -> Mapping[str, str]:
    """Read as the runner's FileCommandManager does; on Windows CR LF ends a line, too.

    Raises AssertionError where the runner would fail the step.
    """
    end = "\r?\n" if windows else "\n"
    block = re.compile(rf"([^=\n]+?)<<(.+?){end}((?:.*{end})*?)\2(?:{end}|\Z)")
    line = re.compile(rf"([^\n]+?)=([^\n]*?)(?:{end}|\Z)")
    found: dict[str, str] = {}
    while text:
        entry = block.match(text) or line.match(text)
        assert entry, text[:80]
        value = entry[3] if entry.re is block else entry[2]
        found[entry[1]] = re.sub(rf"{end}\Z", "", value) if entry.re is block else value
        text = text[entry.end() :]
    return found


def written(config: Config, **options: object) -> str:
    return render(GITHUB_OUTPUT, best(config), **options).text


def read(data: bytes) -> Mapping[str, object]:
    assert GITHUB_OUTPUT.read is not None
    return GITHUB_OUTPUT.read(data)


def test_one_line_stands_behind_its_name_and_several_between_delimiters() -> None:
    lines = written({"model": "gpt-4", "prompt": {"system": "a\nb"}, "n": None})

    assert re.fullmatch(
        r"MODEL=gpt-4\nN=\nPROMPT_SYSTEM<<(EOF_[0-9a-f]{16})\na\nb\n\1\n", lines
    )
    assert written({"prompt": {"system": "a\nb"}}) in lines


@pytest.mark.parametrize("windows", [False, True])
def test_every_three_pieces_side_by_side_are_what_the_runner_sets(
    windows: bool,  # noqa: FBT001
) -> None:
    found = {f"K{n}": "".join(all_) for n, all_ in enumerate(product(PIECES, repeat=3))}
    file = render(GITHUB_OUTPUT, best(found))
    warned = {notice.path for notice in file.notices if windows}

    assert file.codes and set(file.codes) == {"carriage-return"}  # noqa: PT018
    outputs = runner(file.text, windows=windows)
    assert outputs.keys() == found.keys()
    assert [
        text
        for name, text in found.items()
        if outputs[name] != text and name not in warned
    ] == []


@given(configs)
def test_what_is_written_is_read_back(config: Config) -> None:
    try:
        text = written(config)
    except UnrepresentableError:
        return
    found = read(text.encode())

    assert found == runner(text)
    assert found.keys() == variables(config).keys()
    for name, (_, value) in variables(config).items():
        assert holds(str(found[name]), value)


def test_a_delimiter_that_is_a_line_of_the_text_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A text that holds its own digest takes 2**64 tries to find: here all begin alike.
    digests = (hashlib.sha256(bytes([n])) for n in (0, 0, 1))
    monkeypatch.setattr(github_output, "sha256", lambda _: next(digests))
    first, second = (hashlib.sha256(bytes([n])).hexdigest()[:16] for n in (0, 1))

    text = f"a\nEOF_{first}\nb"

    assert written({"k": text}) == f"K<<EOF_{second}\n{text}\nEOF_{second}\n"


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"a": {"b": "x\0"}}, ["a.b"]),
        ({"a": "\ud800"}, ["a"]),
        ({"top-k": 1, "top_k": 2}, ["top-k", "top_k"]),
    ],
)
def test_what_no_output_can_hold_is_refused_by_path(
    config: Config, paths: list[str]
) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        written(config)

    assert refusal.value.members["paths"] == paths


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"k": "a\rb"}, []),
        ({"k": "a\r"}, ["carriage-return"]),
        ({"k": "a\nb\r"}, ["carriage-return"]),
        ({"node_options": "--x"}, ["key-with-a-meaning"]),
        ({"github": {"token": "x"}}, ["key-with-a-meaning"]),
        ({"runner_os": "x"}, ["key-with-a-meaning"]),
        ({"k": "\U0001f600" * (1 << 18)}, []),
        ({"k": "\U0001f600" * (1 << 18), "l": "x"}, ["too-long-for-outputs"]),
    ],
)
def test_what_some_runner_changes_is_warned_of(
    config: Config, codes: list[str]
) -> None:
    assert render(GITHUB_OUTPUT, best(config)).codes == codes


def test_a_prefix_takes_names_out_of_the_way() -> None:
    file = render(GITHUB_OUTPUT, best({"path": "/x"}), prefix="APP_")

    assert (file.text, file.codes) == ("APP_PATH=/x\n", [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nB\n", 2),
        ("A=1\n=2\n", 2),
        ("A=1\n<<EOF\nx\nEOF\n", 2),
        ("A=1\nB<<\nx\n\n", 2),
        ("A=1\nB<<EOF\nx\n", 2),
        ("A<<EOF\nx\nEOF\nB<<EOF\nx\nEOF \n", 4),
    ],
)
def test_what_the_runner_fails_at_is_named(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        read(text.encode())


def test_a_line_that_is_not_utf_8_is_named() -> None:
    with pytest.raises(ValueError, match=r"^line 2: not UTF-8$"):
        read(b"A=1\nB=\xff\n")


def test_a_file_that_others_wrote_is_read_as_the_runner_reads_it() -> None:
    text = "A=b<<c\n\nB<<x=y\nq=1\nx=y\nA=2\r\nC<<EOF\nEOF\nD=no line feed"
    wanted: dict[str, Any] = {"A": "2\r", "B": "q=1", "C": "", "D": "no line feed"}

    assert read(text.encode()) == wanted
