"""Twice the input costs twice the work, in every format and whatever the text is."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from effort import Work, grows_too_fast
from formats.rendering import (
    best,
    experiment,
    ranked_run,
    render,
    report,
    row,
    table,
)
from promptlooper_export.configs import JSON, leaves
from promptlooper_export.documents import Best, Document, Notice, Report, Winner
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.plugin import Format
from promptlooper_export.registry import discover
from promptlooper_export.runs import Columns, RunBatch, StageResult

FORMATS = discover().formats

# What patterns repeat, and what they look for an end of.
RUNS = [
    " ", "\t", "\n", "\r", "\\", "-", "_", "`", "<", "=", '"', "'", "$", "{", "[", "#",
    "&", ".", ":", "%", "0", "é", "\ud800", "- ok\n", "a=\n", 'a="b"\n', "a='\n'\n",
    "a=1 #\n", "a: b\n", "www.", "<style>", '"a" . ', "[a]\n", "1:", '"\\"""', "%TAG ",
]  # fmt: skip

# Where a file's reader expects something.
OPENINGS = ["", "a = ", 'a = "', "a = '''", "a: ", "%YAML 1.1\n---\na: ", "[", '{"a":"']


DIALECTS: list[dict[str, str]] = [
    {"dialect": name}
    for name in ("portable", "posix", "python", "node", "docker", "compose")
]


def _nested(leaf: JSON) -> JSON:
    for _ in range(50):
        leaf = {"k": leaf}
    return leaf


_CASES = ("a%d", "A%d")
_JOINED = ("a-%d", "a.%d")

CONFIGS: Mapping[str, Callable[[int], Mapping[str, JSON]]] = {
    "keys": lambda n: {f"k{i}": i for i in range(n)},
    "texts": lambda n: {f"k{i}": "it's $5" for i in range(n)},
    "nulls": lambda n: {f"k{i}": None for i in range(n)},
    "big integers": lambda n: {f"k{i}": 2**60 for i in range(n)},
    "letters that are lost": lambda n: {f"é{i}": "[redacted]" for i in range(n)},
    "half pairs": lambda n: {f"k{i}": "\ud800" for i in range(n)},
    "keys that differ by case": lambda n: {k % i: 1 for i in range(n) for k in _CASES},
    "keys that become one": lambda n: {k % i: 1 for i in range(n) for k in _JOINED},
    "lists": lambda n: {"a": [[1]] * n},
    "objects in a list": lambda n: {"a": [{f"k{i}": 1} for i in range(n)]},
    "depth": lambda n: {f"k{i}": _nested(1) for i in range(n // 50)},
    "merges": lambda n: {"<<": {f"k{i}": 1 for i in range(n)}},
}


Documents = Callable[[], Document]
"""Makes a document again each time: runs can be read only once."""


def _of_text(kind: type[Document], text: str) -> list[Documents]:
    """Return documents that have a text in every place."""
    if kind is Best:
        return [
            lambda: best({"a": text}, experiment_name=text),
            # Many formats write text with a quote, a dollar and a backslash otherwise.
            lambda: best({"a": f"it's $5 \\\n{text}"}),
            lambda: best({text: [text]}),
        ]
    return [_of_config(kind, {text: text, "a": [text]}, text)]


def _of_config(
    kind: type[Document], config: Mapping[str, JSON], text: str = "a"
) -> Documents:
    if kind is Best:
        return lambda: best(config)
    scores = {text: 1.0, **dict.fromkeys(config, 1.0)}
    if kind is Report:
        runs = tuple(ranked_run(scores=scores) for _ in range(3))
        made = report(
            experiment=experiment(
                name=text, description=text, parameter_space=dict(config)
            ),
            top=runs,
            winner=Winner(run=runs[0], config=config),
            warnings=tuple(Notice(code="a", message=text, path=key) for key in config),
        )
        return lambda: made
    stage = StageResult(
        stage_name=text, output=text, tokens_in=1, tokens_out=1, duration_ms=1
    )
    rows = (
        row(config, name=text, error=text, tags=[text], scores=scores),
        row({}, stage_results=(stage,)),
    )
    columns = Columns(
        config=tuple(path for path, _ in leaves(config)), scores=tuple(scores), kinds={}
    )
    return lambda: replace(
        table(),
        count=len(rows),
        batches=iter([RunBatch.of(rows)]),
        found_columns=columns,
    )


def _rendered(format_: Format[Any], documents: list[Documents]) -> Work:
    def render() -> None:
        for make in documents:
            # A refusal is an answer as well.
            with suppress(UnrepresentableError):
                for _ in format_.stream(make(), {}):
                    pass

    return render


@pytest.mark.sampled(4)
@pytest.mark.parametrize("text", RUNS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_long_text_is_written_in_linear_time(name: str, text: str) -> None:
    format_ = FORMATS[name]

    def work(size: int) -> Work:
        return _rendered(format_, _of_text(format_.document, f"x{text * size}y"))

    assert not grows_too_fast(work, size=100, large=1_000)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("shape", CONFIGS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_large_config_is_written_in_linear_time(name: str, shape: str) -> None:
    format_ = FORMATS[name]

    def work(size: int) -> Work:
        document = _of_config(format_.document, CONFIGS[shape](size))
        return _rendered(format_, [document])

    assert not grows_too_fast(work, size=50, large=150)


READERS = [
    (name, options)
    for name, format_ in FORMATS.items()
    if format_.read is not None
    for options in (DIALECTS if name == "env" else [{}])
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("text", RUNS)
@pytest.mark.parametrize(("name", "options"), READERS, ids=str)
def test_any_file_is_read_in_linear_time(
    name: str, options: Mapping[str, str], text: str
) -> None:
    def work(size: int) -> Work:
        files = [
            f"{opening}{text * size}".encode(errors="surrogatepass")
            for opening in OPENINGS
        ]

        def read() -> None:
            for file in files:
                _read(FORMATS[name], file, options)

        return read

    assert not grows_too_fast(work, size=100, large=1_000)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("shape", CONFIGS)
@pytest.mark.parametrize(("name", "options"), READERS, ids=str)
def test_a_large_file_is_read_in_linear_time(
    name: str, options: Mapping[str, str], shape: str
) -> None:
    format_ = FORMATS[name]

    def work(size: int) -> Work:
        file = b""
        with suppress(UnrepresentableError):
            file = render(format_, best(CONFIGS[shape](size)), **options).body
        return lambda: _read(format_, file, options)

    assert not grows_too_fast(work, size=50, large=150)


def _read(format_: Format[Any], file: bytes, options: Mapping[str, str]) -> None:
    # Files are refused with ValueError; the commands refuse deep ones before.
    with suppress(ValueError, RecursionError):
        format_.parse(file, options)
