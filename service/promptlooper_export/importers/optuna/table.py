"""The table of `Study.trials_dataframe()`, as pandas writes it to a CSV file.

pandas has no whole numbers in a column with gaps, and writes None, "" and what is not
there as the same empty cell. So the file is read twice: first for what all cells of a
column have in common.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.interchange import NAMESPACE
from promptlooper_export.importers.lines import LONGEST_LINE
from promptlooper_export.importers.optuna.storage import STATES
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

_FIRST_LINE = 1 << 16
_OWN = ("number", "state", "datetime_start", "datetime_complete", "duration")
_NEEDED = {"number", "state"}
_SCORER = re.compile(r"values?(?:_(?P<name>.+))?")
_NUMBERED = re.compile(r"values_\d+")
_NESTED = re.compile(
    r"(?P<kind>params|user_attrs|system_attrs|intermediate_values)_(?P<name>.+)",
    re.DOTALL,
)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)")
_INTEGER_AS_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)\.0")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_BOOLEANS: Mapping[str, JSON] = {"True": True, "False": False}

_LOST = (
    "a table of trials does not say what is better, high or low: high is, unless you "
    "give directions. Nor does it tell None and '' from what is missing, or numbers "
    "from text that looks like one: import the storage if you have it"
)

Cells = Mapping[str, str]


@dataclass(kw_only=True)
class _Survey:
    """What is known after the first reading."""

    columns: tuple[str, ...] = ()
    fractional: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    begun: datetime | None = None
    ended: datetime | None = None


def recognises(source: str) -> bool:
    """Return whether the first line has the columns of a table of trials."""
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline(_FIRST_LINE).decode("utf-8-sig", "replace")
    # Other kinds of files may have a lone carriage return there, which csv refuses.
    names = next(csv.reader(line.splitlines()[:1]), [])
    return {*names} >= _NEEDED and any(map(_SCORER.fullmatch, names))


def read(source: str) -> Records:
    """Yield the one study of a table. Raises SourceError, naming file and line."""
    survey = _survey(source)
    name = Path(source).stem
    # The file's name stands for the study's, which the table does not have.
    identity = uuid5(NAMESPACE, f"optuna table\n{name}\n{survey.begun}")
    unknown = [column for column in survey.columns if column and not _is_known(column)]
    left_out = f"columns that are not Optuna's are left out: {', '.join(unknown)}"
    yield ExperimentRecord(
        id=identity,
        name=name,
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=None,
        created_at=survey.begun,
        updated_at=survey.ended,
        runs=(_run(place, cells, survey, identity) for place, cells in _rows(source)),
        place=source,
        warnings=(_LOST, *([left_out] if unknown else [])),
    )


def _is_known(column: str) -> bool:
    return column in _OWN or bool(
        _SCORER.fullmatch(column) or _NESTED.fullmatch(column)
    )


def _survey(source: str) -> _Survey:
    survey = _Survey()
    for place, cells in _rows(source):
        survey.columns = tuple(cells)
        number = cells["number"]
        if not _INTEGER.fullmatch(number) or number in survey.numbers:
            msg = f"{place}: the number {number!r} is there twice or not a number"
            raise SourceError(msg)
        survey.numbers.add(number)
        survey.fractional.update(
            column
            for column, cell in cells.items()
            if cell and not _INTEGER_AS_FLOAT.fullmatch(cell)
        )
        begun, ended = _times(cells, place)
        survey.begun = min(filter(None, (survey.begun, begun)), default=None)
        survey.ended = max(filter(None, (survey.ended, ended)), default=None)
    if not survey.numbers:
        msg = f"{source}: holds no trial"
        raise SourceError(msg)
    return survey


def _rows(source: str) -> Iterator[tuple[str, Cells]]:
    # The limit of the csv module is meant for files that nobody knows the size of.
    csv.field_size_limit(LONGEST_LINE)
    with Path(source).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        columns: list[str] = []
        for number in count():
            place = f"{source}:{reader.line_num + 1}"
            try:
                row = next(reader, None)
            except (csv.Error, UnicodeDecodeError) as error:
                msg = f"{place}: not a table in UTF-8: {error}"
                raise SourceError(msg) from error
            if row is None:
                return
            if number == 0:
                columns = row
            elif len(row) != len(columns):
                msg = f"{place}: has {len(row)} cells and needs {len(columns)}"
                raise SourceError(msg)
            else:
                yield place, dict(zip(columns, row, strict=True))


def _run(place: str, cells: Cells, survey: _Survey, study: UUID) -> RunRecord:
    nested: dict[str, dict[str, JSON]] = {}
    judged: dict[str, tuple[float | None, ...]] = {}
    for column, cell in cells.items():
        if not cell or column in _OWN:
            continue
        if found := _NESTED.fullmatch(column):
            value = _value(cell, is_whole=column not in survey.fractional)
            nested.setdefault(found["kind"], {})[found["name"]] = value
        elif found := _SCORER.fullmatch(column):
            # As in a storage, a number is no name.
            is_named = found["name"] and not _NUMBERED.fullmatch(column)
            scorer = found["name"] if is_named else column
            judged[scorer] = (_score(cell, f"{place}: {column}"),)
    begun, ended = _times(cells, place)
    status = STATES.get(cells["state"].removeprefix("TrialState."))
    if status is None:
        msg = f"{place}: the state {cells['state']!r} is not one of Optuna's"
        raise SourceError(msg)
    user = nested.get("user_attrs", {})
    config = values.config(nested.get("params", {}), place)
    own: dict[str, JSON] = {
        "number": int(cells["number"]),
        "intermediate_values": nested.get("intermediate_values", {}),
        "system_attrs": nested.get("system_attrs", {}),
    }
    error = user.get("error") if status == "failed" else None
    return RunRecord(
        id=uuid5(study, cells["number"]),
        name=f"trial {cells['number']}",
        status=status,
        config=config.text,
        config_hash=config.hash,
        scores=judged,
        tokens_in=values.whole(user.get("tokens_in")),
        tokens_out=values.whole(user.get("tokens_out")),
        duration_ms=values.milliseconds(begun, ended),
        cost_usd=values.cost(user.get("cost_usd")),
        error=None if error is None else values.text(str(error), place),
        tags=values.tagged(user, "optuna", own),
        stage_results=(),
        created_at=begun,
        started_at=begun,
        finished_at=ended,
        updated_at=ended,
    )


def _times(cells: Cells, place: str) -> tuple[datetime | None, datetime | None]:
    begun = values.moment(cells.get("datetime_start") or None, place)
    return begun, values.moment(cells.get("datetime_complete") or None, place)


def _value(cell: str, *, is_whole: bool) -> JSON:
    """Return what a cell most likely stood for."""
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    if _INTEGER.fullmatch(cell) or (is_whole and _INTEGER_AS_FLOAT.fullmatch(cell)):
        return int(cell.removesuffix(".0"))
    if _NUMBER.fullmatch(cell) and math.isfinite(float(cell)):
        return float(cell)
    return cell


def _score(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        msg = f"{place}: {cell!r} is not a number"
        raise SourceError(msg) from error
