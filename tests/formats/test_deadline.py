"""An export ends in time, wherever its format is."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat

import pytest

from effort import counted_steps
from formats.rendering import best, ranked_run, render, report, row, table
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Runs, Winner
from promptlooper_export.errors import FormatTimeoutError
from promptlooper_export.export import Limits, export_document
from promptlooper_export.registry import discover
from promptlooper_export.runs import RunBatch

FORMATS = discover().formats
OF_RUNS = [name for name, format_ in FORMATS.items() if format_.document is Runs]


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


def test_a_page_about_many_scorers_comes_in_pieces() -> None:
    scores = {f"s{place}": 0.5 for place in range(5_000)}
    run = ranked_run(scores=scores)
    made = report(top=(run,), winner=Winner(run=run, config={"a": 1}))
    pieces = [
        piece for piece in FORMATS["html"].stream(made, {}) if isinstance(piece, bytes)
    ]
    assert max(map(len, pieces)) < 1 << 18
    assert b"".join(pieces) == render(FORMATS["html"], made).body
