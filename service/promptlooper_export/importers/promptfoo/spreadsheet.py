"""promptfoo's results as CSV: a row for each test, several columns for each prompt.

Scores are rounded to two decimals there, and tokens, costs and times are missing.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.cells import Row, first_row, read_rows
from promptlooper_export.importers.files import read_object
from promptlooper_export.importers.promptfoo.results import (
    Eval,
    Outcome,
    Prompt,
    Result,
    experiment,
)
from promptlooper_export.records import Records

_PROMPT = re.compile(r"\[(?P<provider>.*?)\] (?P<label>.*)", re.DOTALL)

_OUTCOMES: dict[str, Outcome] = {"PASS": "passed", "FAIL": "failed", "ERROR": "errors"}

_ROUNDED = (
    "scores are rounded to two decimals in promptfoo's CSV, which has no tokens, costs "
    "and times; its JSON has all of them"
)


class _Columns(NamedTuple):
    """The columns of a prompt: its output, and others by their names."""

    prompt: Prompt
    output: int
    others: dict[str, int]


def recognises(source: str) -> bool:
    """Return whether the header is one of promptfoo's results."""
    return bool(_prompts(first_row(source)))


def read(source: str) -> Records:
    """Yield the eval. The scores are held in memory. Raises SourceError."""
    rows = read_rows(source)
    header = next(rows, Row(source, [])).cells
    prompts = _prompts(header)
    if not prompts:
        msg = f"{source}: has no columns of promptfoo's results"
        raise SourceError(msg)
    found = Eval(
        place=source,
        identity=Path(source).name,
        name=Path(source).stem,
        created_at=None,
        tags={},
        prompts=[columns.prompt for columns in prompts],
        warnings=(_ROUNDED,),
    )
    yield experiment(found, _results(source, rows, prompts))


def _prompts(header: Sequence[str]) -> list[_Columns]:
    """Return the columns of each prompt: its own, then `Status`, `Score` and more."""
    found = {
        place: named
        for place, (name, after) in enumerate(pairwise(header))
        if after == "Status" and (named := _PROMPT.fullmatch(name))
    }
    return [
        _Columns(
            Prompt(
                name=header[start],
                config={
                    "provider": {"id": found[start]["provider"]},
                    "prompt": {"label": found[start]["label"]},
                },
            ),
            start,
            {header[place]: place for place in range(start + 1, end)},
        )
        for start, end in pairwise([*found, len(header)])
    ]


def _results(
    source: str, rows: Iterator[Row], prompts: Sequence[_Columns]
) -> Iterator[Result]:
    cases: dict[tuple[str, ...], str] = {}
    row = None
    for number, row in enumerate(rows):
        # A repeated test is a row of its own, with the same variables.
        variables = tuple(row.cells[: prompts[0].output])
        case = cases.setdefault(variables, str(number))
        for index, columns in enumerate(prompts):
            yield _result(row, index, columns, case)
    if row is None:
        msg = f"{source}: holds no tests"
        raise SourceError(msg)


def _result(row: Row, index: int, columns: _Columns, case: str) -> Result:
    cells = {name: row.cells[place] for name, place in columns.others.items()}
    status = cells["Status"]
    if status not in _OUTCOMES:
        msg = f"{row.place}: Status: must be PASS, FAIL or ERROR, not {status!r}"
        raise SourceError(msg)
    metrics = cells.get("Named Scores") or "{}"
    return Result(
        prompt=index,
        case=case,
        outcome=_OUTCOMES[status],
        score=_number(cells["Score"], f"{row.place}: Score"),
        metrics={
            name: values.number(score, f"{row.place}: {name}")
            for name, score in read_object(metrics.encode(), row.place).items()
        },
        error=row.cells[columns.output] or cells.get("Grader Reason") or None,
    )


def _number(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        msg = f"{place}: {cell!r} is not a number"
        raise SourceError(msg) from error
