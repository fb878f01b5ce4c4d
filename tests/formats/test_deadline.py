"""An export ends in time, wherever its format is."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import product, repeat
from typing import Any

import pytest

from effort import counted_steps
from formats.rendering import (
    best,
    experiment,
    ranked_run,
    render,
    report,
    row,
    table,
)
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Report, Runs, Winner
from promptlooper_export.errors import FormatTimeoutError, UnrepresentableError
from promptlooper_export.export import Limits, export_document
from promptlooper_export.registry import discover
from promptlooper_export.runs import RunBatch

FORMATS = discover().formats
OF_RUNS = [name for name, format_ in FORMATS.items() if format_.document is Runs]

OF_ONE = [name for name in FORMATS if name not in OF_RUNS]


@pytest.mark.parametrize("name", OF_RUNS)
def test_runs_without_end_are_given_up_in_time(name: str) -> None:
    # xlsx and parquet read many runs before they yield their first bytes.
    run = row({"a": 1})
    endless = replace(table(run), batches=repeat(RunBatch.of([run])))
    with pytest.raises(FormatTimeoutError):
        export_document(
            endless,
            FORMATS[name],
            {},
            redacted=True,
            limits=Limits(spool_bytes=1 << 40),
            deadline=time.monotonic() + 0.2,
        )


MANY = 3_000

LONG: Mapping[str, JSON] = {
    "assignments": "password=hunter22xyz9 " * MANY,
    "lines": "API_KEY=abc123def456ghi\n" * MANY,
    "no assignments": "the token is here; " * MANY,
    "pairs": '"name": "API_KEY", "value": "abc123def456" ' * MANY,
    "addresses": "postgres://u:p4ssw0rdx@h/db " * MANY,
    "one address": "a://u:p4ssw0rdx@h" * MANY,
    "parameters": "?api_key=abc123def456ghi&a=b " * MANY,
    "of Oracle": "sqlplus scott/t1gerTIGER@host:1521/db " * MANY,
    "commands": "curl -u bob:s3cr3tpw x\n" * MANY,
    "one command": "curl -u bob:s3cr3tpw " * MANY,
    "headers": "Authorization: Bearer abcdefgh12345678\n" * MANY,
    "bearers": "bearer abcdefgh12345678 " * MANY,
    "tokens": f"{'a' * 20}.eyJ{'b' * 20}.c " * MANY,
    "defaults": "${API_KEY:-abc123def456ghi} " * MANY,
    "JSON": json.dumps([{"api_key": "aB3xY9qq7Lm2"}] * MANY),
    "objects": [{"api_key": "aB3xY9qq7Lm2"}] * MANY,
    "names": [{"name": "API_KEY", "value": "aB3xY9qq7Lm2"}] * MANY,
    "arguments": ["--api-key", "aB3xY9qq7Lm2"] * MANY,
    "keys": {f"api_key_{place}": "aB3xY9qq7Lm2" for place in range(MANY)},
}


@pytest.mark.parametrize("kind", LONG)
def test_redaction_is_given_up_in_the_midst_of_a_value(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = best({"a": LONG[kind]})
    with counted_steps() as steps:
        monkeypatch.setattr(time, "monotonic", steps)
        with pytest.raises(FormatTimeoutError):
            export_document(
                document,
                FORMATS["json"],
                {},
                redacted=True,
                limits=Limits(spool_bytes=1 << 40),
                deadline=20_000,
            )
        assert steps() < 22_000


LARGE: Mapping[str, dict[str, Any]] = {
    "numbers": {"a": [1] * 5 * MANY},
    "objects": {"a": [{"k": True}] * 3 * MANY},
    "texts": {"a": ["xy"] * 5 * MANY},
    "keys": {f"k{place}": place for place in range(3 * MANY)},
    "marks": {"a": "a' " * 9 * MANY},
    "lines": {"a": "it's $5\\\n" * MANY},
}


BY_LIBRARIES = {("toml", "marks"), ("toml", "lines"), ("report-json", "keys")}
"""What tomli-w and marshmallow write at a quarter of a second for each megabyte."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [pair for pair in product(OF_ONE, LARGE) if pair not in BY_LIBRARIES],
)
def test_a_format_is_given_up_in_the_midst_of_a_config(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def document(config: Mapping[str, JSON]) -> Best | Report:
        if FORMATS[name].document is Best:
            return best(config)
        run = ranked_run()
        return report(
            experiment=experiment(parameter_space=dict(config)),
            top=(run,),
            winner=Winner(run=run, config=config),
        )

    large = document(LARGE[kind])
    list(FORMATS[name].stream(document({"a": 1})))  # imports and compiles
    with counted_steps() as steps:
        monkeypatch.setattr(time, "monotonic", steps)
        # What is over before is as good.
        with suppress(FormatTimeoutError, UnrepresentableError):
            export_document(
                large,
                FORMATS[name],
                {},
                redacted=False,
                limits=Limits(spool_bytes=1 << 40),
                deadline=20_000,
            )
        assert steps() < 25_000


def test_a_page_about_many_scorers_comes_in_pieces() -> None:
    scores = {f"s{place}": 0.5 for place in range(5_000)}
    run = ranked_run(scores=scores)
    made = report(top=(run,), winner=Winner(run=run, config={"a": 1}))
    pieces = [
        piece for piece in FORMATS["html"].stream(made, {}) if isinstance(piece, bytes)
    ]
    assert max(map(len, pieces)) < 1 << 18
    assert b"".join(pieces) == render(FORMATS["html"], made).body
