"""Make runs of rows, some hundred at a time.

Most cells are what their column is for: those are read by column. A row with any other
cell is read on its own, and each such cell is named.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from promptlooper_export.configs import JSON, json_text
from promptlooper_export.documents import Notice
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.runs import Run, RunBatch, StageResult
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.connection import Row
from promptlooper_export.store.rows import (
    DEEPEST,
    UNKNOWN,
    Cells,
    ids_as_text,
    is_utf_8,
    json_value,
    moment,
    row_id,
    stored_json,
)
from promptlooper_export.store.scoring import finite_means, is_finite, mean, unusable

COLUMNS = (
    "id", "name", "status", "config", "config_hash", "tokens_in", "tokens_out",
    "duration_ms", "cost_usd", "error", "tags", "created_at", "started_at",
    "finished_at", "updated_at",
)  # fmt: skip
"""The cells of a row of runs, in their order."""

Warn = Callable[[Notice], None]
Place = tuple[float | None, int | None]
"""A run's weighted score and its rank."""

Judged = Mapping[str, Sequence[Any]]
"""What each scorer gave a run, sorted by scorer."""

Cases = Mapping[str, tuple[str | None, ...]]
"""The case of each judgement of a run, by scorer."""

_DECODER = json.JSONDecoder()


def run_batch(
    rows: Sequence[Row],
    places: Sequence[Place],
    judged: Sequence[Judged],
    cases: Sequence[Cases],
    stages: Sequence[tuple[StageResult, ...]],
    warn: Warn,
) -> RunBatch:
    """Return the runs of some rows. Raises UnreadableRowError for an invalid id."""
    cells = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    columns = _Columns()
    configs, texts = columns.configs(cells["config"])
    weighted_scores, ranks = zip(*places, strict=True)
    batch = RunBatch(
        ids=ids_as_text(cells["id"], "runs"),
        name=columns.texts(cells["name"]),
        status=columns.texts(cells["status"], required=True),
        weighted_score=weighted_scores,
        rank=ranks,
        config=configs,
        config_json=texts,
        config_hash=columns.texts(cells["config_hash"], required=True),
        scores=columns.means(judged),
        tokens_in=columns.wholes(cells["tokens_in"]),
        tokens_out=columns.wholes(cells["tokens_out"]),
        duration_ms=columns.wholes(cells["duration_ms"]),
        cost_usd=columns.numbers(cells["cost_usd"]),
        error=columns.texts(cells["error"]),
        tags=columns.tags(cells["tags"]),
        stage_results=stages,
        created_at=columns.times(cells["created_at"]),
        started_at=columns.times(cells["started_at"]),
        finished_at=columns.times(cells["finished_at"]),
        updated_at=columns.times(cells["updated_at"]),
        judgements=[
            {name: tuple(given) for name, given in one.items()} for one in judged
        ],
        cases=cases,
    )
    given = list(zip(rows, places, judged, cases, stages, strict=True))
    return batch.with_runs(
        {place: _run(*given[place], warn) for place in sorted(columns.odd)}
    )


def stage_batch(
    rows: Sequence[Row], owners: Mapping[object, object], warn: Warn
) -> Iterator[tuple[object, StageResult]]:
    """Yield each stage result of some rows, with the id of its run as stored.

    `owners` maps the id in the row to that.
    """
    columns = _Columns()
    if rows:
        _, names, outputs, *figures = zip(*rows, strict=True)
        columns.texts(names, required=True)
        columns.texts(outputs)
        for cells in figures:
            columns.wholes(cells)
    for place, (key, name, output, tokens_in, tokens_out, duration_ms) in enumerate(
        rows
    ):
        owner = owners[key]
        if place in columns.odd:
            yield owner, _stage(rows[place][1:], row_id(owner, "runs"), warn)
        else:
            yield (
                owner,
                StageResult(
                    stage_name=name,
                    output=output,
                    tokens_in=tokens_in,
                    tokens_out=tokens_out,
                    duration_ms=duration_ms,
                ),
            )


class _Columns:
    """Reads columns; `odd` are the places of cells that must be read on their own."""

    def __init__(self) -> None:
        self.odd: set[int] = set()

    def texts(self, cells: Sequence[Any], *, required: bool = False) -> Sequence[Any]:
        """Read text in UTF-8, which may be NULL unless it is required."""
        kinds = {str} if required else {str, type(None)}
        joined = "".join(cell for cell in cells if type(cell) is str)
        if not kinds.issuperset(map(type, cells)) or not is_utf_8(joined):
            self._leave(
                cells, lambda cell: type(cell) in kinds and is_utf_8(cell or "")
            )
        return cells

    def wholes(self, cells: Sequence[Any]) -> Sequence[Any]:
        """Read whole numbers or NULL."""
        if not _WHOLES.issuperset(map(type, cells)):
            self._leave(cells, lambda cell: type(cell) in _WHOLES)
        return cells

    def numbers(self, cells: Sequence[Any]) -> Sequence[Any]:
        """Read finite numbers or NULL."""
        if set(map(type, cells)) != {type(None)}:
            self._leave(cells, lambda cell: cell is None or is_finite(cell))
        return cells

    def times(self, cells: Sequence[Any]) -> Sequence[datetime | None]:
        """Read moments in UTC or NULL."""
        found: list[datetime | None] = []
        for place, cell in enumerate(cells):
            try:
                found.append(None if cell is None else moment(cell))
            except (TypeError, ValueError, OverflowError, OSError):
                self.odd.add(place)
                found.append(None)
        return found

    def configs(
        self, cells: Sequence[Any]
    ) -> tuple[list[Mapping[str, JSON]], list[str]]:
        """Read objects of strict JSON, and write them anew."""
        configs: list[Mapping[str, JSON]] = []
        texts: list[str] = []
        for place, text in enumerate(cells):
            found = _config_of(text)
            if found is None:
                self.odd.add(place)
                found = {}, ""
            configs.append(found[0])
            texts.append(found[1])
        return configs, texts

    def tags(self, cells: Sequence[Any]) -> Sequence[JSON]:
        """Read JSON or NULL."""
        if set(map(type, cells)) == {type(None)}:
            return cells
        found: list[JSON] = []
        for place, cell in enumerate(cells):
            value, notices = json_value(cell, "tags")
            found.append(value)
            if notices:
                self.odd.add(place)
        return found

    def means(self, judged: Sequence[Judged]) -> list[Mapping[str, float]]:
        """Read judgements that are finite numbers, and average those of each scorer."""
        given = chain.from_iterable(one.values() for one in judged)
        flat = [*chain.from_iterable(given)]
        if not set(map(type, flat)) <= {float} or not math.isfinite(sum(flat)):
            for place, one in enumerate(judged):
                if not all(map(is_finite, chain.from_iterable(one.values()))):
                    self.odd.add(place)
            return list(map(finite_means, judged))
        return [
            # The mean of -0.0 is 0.0.
            {
                name: (values[0] or 0.0) if len(values) == 1 else mean(values)
                for name, values in one.items()
            }
            for one in judged
        ]

    def _leave(self, cells: Sequence[Any], is_plain: Callable[[Any], bool]) -> None:
        self.odd.update(place for place, cell in enumerate(cells) if not is_plain(cell))


_WHOLES = frozenset({int, type(None)})


def _config_of(text: Any) -> tuple[dict[str, JSON], str] | None:
    """Return a config and its text; None if there is anything to say about it."""
    if type(text) is not str or text.count("{") + text.count("[") > DEEPEST:
        return None
    try:
        config = _DECODER.decode(text)
        written = json_text(config)
        # What is not strict JSON, or repeats a key, is not written the same again.
        if written != text or not is_utf_8(text):
            config, notices = stored_json(text)
            if notices:
                return None
            written = json_text(config)
    except (ValueError, RecursionError):
        return None
    return (config, written) if isinstance(config, dict) else None


def _run(
    values: Row,
    place: Place,
    judged: Judged,
    cases: Cases,
    stages: tuple[StageResult, ...],
    warn: Warn,
) -> Run:
    (
        key, name, status, config, config_hash,
        tokens_in, tokens_out, duration_ms, cost_usd, error, tags,
        created_at, started_at, finished_at, updated_at,
    ) = values  # fmt: skip
    run_id = row_id(key, "runs")
    weighted_score, rank = place
    cells = Cells("run", warn, row=run_id)
    decoded_tags, notices = json_value(tags, "tags")
    for notice in (*notices, *unusable(judged, run_id)):
        warn(notice)
    return Run(
        run_id=run_id,
        name=cells.text("name", name),
        status=cells.required_text("status", status, instead=UNKNOWN),
        weighted_score=weighted_score,
        rank=rank,
        config=_config(config, run_id, warn),
        config_hash=cells.required_text("config_hash", config_hash),
        scores=finite_means(judged),
        tokens_in=cells.whole("tokens_in", tokens_in),
        tokens_out=cells.whole("tokens_out", tokens_out),
        duration_ms=cells.whole("duration_ms", duration_ms),
        cost_usd=cells.number("cost_usd", cost_usd),
        error=cells.text("error", error),
        tags=decoded_tags,
        stage_results=stages,
        created_at=cells.time("created_at", created_at),
        started_at=cells.time("started_at", started_at),
        finished_at=cells.time("finished_at", finished_at),
        updated_at=cells.time("updated_at", updated_at),
        judgements={scorer: _numbers(values) for scorer, values in judged.items()},
        cases=cases,
    )


def _config(text: str | None, run_id: UUID, warn: Warn) -> Mapping[str, JSON] | None:
    """Decode a config; one that is not valid is named and stands as None."""
    try:
        config, notices = decode_config(text, run_id)
    except InvalidConfigError as error:
        warn(Notice(code=error.slug, message=error.detail, path="config"))
        return None
    for notice in notices:
        warn(notice)
    return config


def _numbers(judged: Sequence[object]) -> tuple[float | None, ...]:
    return tuple([one if isinstance(one, int | float) else None for one in judged])


def _stage(cells: Sequence[Any], run_id: UUID, warn: Warn) -> StageResult:
    name, output, tokens_in, tokens_out, duration_ms = cells
    read = Cells("a stage of run", warn, row=run_id)
    return StageResult(
        stage_name=read.required_text("stage_name", name),
        output=read.text("output", output),
        tokens_in=read.whole("tokens_in", tokens_in),
        tokens_out=read.whole("tokens_out", tokens_out),
        duration_ms=read.whole("duration_ms", duration_ms),
    )
