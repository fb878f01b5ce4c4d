"""Twice the input costs twice the work, in what reads text from anywhere."""

import json
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest

from effort import Work, grows_too_fast
from promptlooper_export.comparison import Config, changes, differences
from promptlooper_export.configs import strict_json
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.lines import parse
from promptlooper_export.store.rows import InvalidJsonError, stored_json
from promptlooper_export.web import delivery
from promptlooper_export.web.delivery import export_policy

PAGES = {
    "styles without an end": "<style>",
    "styles that are not finished": "<style ",
    "styles": "<style>a</style>",
    "ends": "</style",
    "bodies": "<body>",
    "angles": "<",
}


@pytest.mark.parametrize("shape", PAGES)
def test_the_styles_of_a_page_are_found_in_linear_time(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The beginning that is looked at is bounded as well; this is about what it costs.
    monkeypatch.setattr(delivery, "HEAD_BYTES", 1 << 24)

    def work(size: int) -> Work:
        page = BytesIO(PAGES[shape].encode() * size)
        return lambda: export_policy("text/html", page)

    assert not grows_too_fast(work, size=100, large=1_200)


STORED: dict[str, Callable[[int], str]] = {
    "keys": lambda n: json.dumps({f"k{i}": i for i in range(n)}),
    "one key repeated": lambda n: "{" + '"k": 1, ' * n + '"k": 1}',
    "one of many keys repeated": lambda n: (
        "{" + "".join(f'"k{i}": 1, ' for i in range(n)) + '"k0": 1}'
    ),
    "every key repeated": lambda n: (
        "{" + ", ".join(f'"k{i}": 1, "k{i}": 2' for i in range(n)) + "}"
    ),
    "objects that repeat a key": lambda n: (
        '{"a": [' + ", ".join(['{"k": 1, "k": 2}'] * n) + "]}"
    ),
    "brackets": lambda n: '{"a": "' + "[" * n + '"}',
    "depth": lambda n: "[" * n,
    "quotes": lambda n: json.dumps({"a": '"' * n}),
    "numbers": lambda n: '{"a": [' + "1e5, " * n + "NaN]}",
    "spaces": lambda n: "{" + " " * n + '"a": 1}',
    "digits": lambda n: '{"a": ' + "1" * n + "}",
    "an open text": lambda n: '{"a": "' + "\\u0041" * n,
}


@pytest.mark.parametrize("shape", STORED)
@pytest.mark.parametrize(
    "read",
    [stored_json, strict_json, lambda text: parse(text.encode(), "a:1")],
    ids=["stored", "strict", "line"],
)
def test_json_is_read_in_linear_time(shape: str, read: Callable[[str], object]) -> None:
    def work(size: int) -> Work:
        text = STORED[shape](size)

        def read_it() -> None:
            # A refusal is an answer as well.
            with suppress(InvalidJsonError, ValueError, RecursionError, SourceError):
                read(text)

        return read_it

    assert not grows_too_fast(work, size=200, large=2_500)


@pytest.mark.parametrize(
    "compare",
    [
        lambda old, new: list(changes(old, new)),
        lambda old, new: differences(old, [new, old, new]),
    ],
    ids=["changes", "differences"],
)
def test_configs_are_compared_in_linear_time(
    compare: Callable[[Config, Config], object],
) -> None:
    def work(size: int) -> Work:
        old: Config = {f"k{i}": [i] for i in range(size)}
        new: Config = {f"k{2 * i}": "text" for i in range(size)}
        return lambda: compare(old, new)

    assert not grows_too_fast(work, size=100, large=500)
