"""Every run as a JSON object (RFC 8259) on a line of its own."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from marshmallow import Schema

from promptlooper_export.plugin import Format, Notice, Run, Runs, timestamp
from promptlooper_formats.shared.interchange import (
    experiment_line,
    run_line,
    stage_line,
)
from promptlooper_formats.shared.notices import big_integers
from promptlooper_formats.shared.spellings import Spellings
from promptlooper_formats.shared.text import together
from promptlooper_formats.shared.variables import switch

# A number with at least as many digits as 2^53, as JSON is written here. A pattern is
# found quickly if it begins with one fixed character: here, the one before a number in
# an object or a list.
_MAYBE_BIG = (re.compile(" -?[0-9]{16}"), re.compile(r"\[-?[0-9]{16}"))

# JSON takes these as they are, but many a reader of lines ends a line there: Python's
# str.splitlines (httpx, requests) at all three, Node.js's readline at the first two.
_LINE_ENDS = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class NdjsonOptions(Schema):
    """The options of the format."""

    header = switch(
        "Write the interchange file, which can be imported and "
        "converted: a line for the experiment first, every judgement of each run"
    )


def render(runs: Runs, *, header: bool = False) -> Iterator[bytes | Notice]:
    """Yield a line for each run; keys alike are named, and an integer that is rounded.

    Named is the first integer that a reader with doubles only would round.
    """
    yield from together(_lines(runs, header=header))


def _lines(runs: Runs, *, header: bool) -> Iterator[bytes | Notice]:
    if header:
        yield _encoded(_ENCODER.encode(experiment_line(runs.experiment)))
    record = run_line if header else _record
    # One notice is enough: a notice for each would grow with the number of runs.
    named = False
    spellings = Spellings()
    for run in runs.rows:
        line = _ENCODER.encode(record(run))
        yield _encoded(line)
        yield from spellings.alike(run.config or {}, "config")
        yield from spellings.alike(run.scores, "scores")
        if not named and any(pattern.search(line) for pattern in _MAYBE_BIG):
            for notice in islice(big_integers(run.config or {}), 1):
                yield notice
                named = True


def _encoded(line: str) -> bytes:
    for end, escape in _LINE_ENDS.items():
        line = line.replace(end, escape)
    # UTF-8 has no form for a lone surrogate; Python's escape for it is also JSON's.
    return f"{line}\n".encode(errors="backslashreplace")


def _record(run: Run) -> Mapping[str, object]:
    record = {
        **vars(run),
        "run_id": str(run.run_id),
        "stage_results": [stage_line(stage) for stage in run.stage_results],
        "created_at": run.created_at and timestamp(run.created_at),
        "started_at": run.started_at and timestamp(run.started_at),
        "finished_at": run.finished_at and timestamp(run.finished_at),
        "updated_at": run.updated_at and timestamp(run.updated_at),
    }
    # Only the interchange file has them; `scores` holds their means.
    del record["judgements"]
    return record


NDJSON = Format(
    name="ndjson",
    title="NDJSON",
    document=Runs,
    media_types=(
        "application/x-ndjson",
        "application/jsonl",
        "application/ndjson",
    ),
    extension="ndjson",
    render=render,
    options=NdjsonOptions,
    needs_columns=False,
)
