"""An export ends in time, wherever its format is."""

import time
from dataclasses import replace
from itertools import repeat

import pytest

from formats.rendering import ranked_run, render, report, row, table
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


def test_a_page_about_many_scorers_comes_in_pieces() -> None:
    scores = {f"s{place}": 0.5 for place in range(5_000)}
    run = ranked_run(scores=scores)
    made = report(top=(run,), winner=Winner(run=run, config={"a": 1}))
    pieces = [
        piece for piece in FORMATS["html"].stream(made, {}) if isinstance(piece, bytes)
    ]
    assert max(map(len, pieces)) < 1 << 18
    assert b"".join(pieces) == render(FORMATS["html"], made).body
