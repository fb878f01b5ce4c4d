"""Every run as a JSON object (RFC 8259) on a line of its own."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from uuid import UUID

from promptlooper_export.plugin import (
    Format,
    Notice,
    Runs,
    StageResult,
    timestamp,
)
from promptlooper_formats.notices import big_integers

_MAYBE_BIG = re.compile("[0-9]{16}")


def render(runs: Runs) -> Iterator[bytes | Notice]:
    """Yield a line for each run; the first integer that doubles round is named."""
    named = False
    for run in runs.rows:
        line = json.dumps(
            vars(run), default=_value, ensure_ascii=False, allow_nan=False
        )
        # A lone surrogate has no form in UTF-8; Python's escape for it is JSON's, too.
        yield f"{line}\n".encode(errors="backslashreplace")
        if not named and run.config is not None and _MAYBE_BIG.search(line):
            for notice in islice(big_integers(run.config), 1):
                yield notice
                named = True


def _value(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return timestamp(value)
        case StageResult():
            return vars(value)
    msg = f"{type(value).__name__} is no part of a run"
    raise TypeError(msg)


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
)
