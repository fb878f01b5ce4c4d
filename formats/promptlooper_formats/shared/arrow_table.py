"""Runs as Arrow's record batches: typed columns, with units, nothing lost.

A path of configs gets the type of its values; if they have several types, or are lists,
it holds them as JSON text. `config` has the whole config as JSON text as well, which
tells null from missing and 1 from 1.0; `judgements` has every score as it was given.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from promptlooper_export.plugin import (
    Columns,
    RunBatch,
    Runs,
    UnrepresentableError,
    ValueKind,
)
from promptlooper_formats.shared.interchange import experiment_line, stage_line
from promptlooper_formats.shared.notices import SURROGATE
from promptlooper_formats.shared.tables import MISSING, Leaf, config_columns, parts
from promptlooper_formats.shared.text import encodable, write_json

if TYPE_CHECKING:
    import pyarrow as pa

REQUIRES = {"pyarrow": "promptlooper-export[parquet]"}

EXPERIMENT_KEY = b"promptlooper.experiment"
"""The key in the schema's metadata for the line of the interchange file."""

_NUMBERS: frozenset[ValueKind] = frozenset({"integer", "number"})


Cells: TypeAlias = Callable[[RunBatch, Mapping[str, Sequence[Leaf]]], Sequence[object]]
"""Returns a column of some runs, given them and the leaves of their configs."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name, type and unit, and what some runs have in it."""

    name: str
    type: "pa.DataType"
    cells: Cells
    description: str = ""
    unit: str = ""


def schema(runs: Runs, columns: list[Column]) -> "pa.Schema":
    """Return the schema; its metadata describes every column and the experiment.

    Raises UnrepresentableError for a name with half a surrogate pair.
    """
    import pyarrow as pa

    names = [column.name for column in columns]
    unwritable = tuple(name for name in names if SURROGATE.search(name))
    if unwritable:
        detail = (
            f"{', '.join(map(repr, unwritable))}: a lone surrogate has no form in "
            "UTF-8; choose format=ndjson."
        )
        raise UnrepresentableError(detail, paths=unwritable)
    # ASCII, since a name may hold a lone surrogate, which UTF-8 cannot.
    line = json.dumps(experiment_line(runs.experiment), ensure_ascii=True)
    return pa.schema(
        [
            pa.field(
                column.name,
                column.type,
                metadata={
                    name: text
                    for name, text in (
                        ("description", column.description),
                        ("unit", column.unit),
                    )
                    if text
                },
            )
            for column in columns
        ],
        metadata={EXPERIMENT_KEY: line.encode()},
    )


def batches(
    runs: Runs, columns: list[Column], shape: "pa.Schema"
) -> Iterator["pa.RecordBatch"]:
    """Yield the runs, some at a time.

    Raises UnrepresentableError naming the column of text with half a surrogate pair.
    """
    import pyarrow as pa

    for part in parts(runs):
        found = config_columns(part, runs.columns.config)
        arrays = []
        for column in columns:
            try:
                arrays.append(pa.array(column.cells(part, found), column.type))
            except UnicodeEncodeError as error:
                detail = (
                    f"{column.name}: a lone surrogate has no form in UTF-8; choose "
                    "format=ndjson."
                )
                raise UnrepresentableError(detail, paths=(column.name,)) from error
        yield pa.record_batch(arrays, schema=shape)


def table_columns(columns: Columns) -> list[Column]:
    """Return every column of a table of runs."""
    import pyarrow as pa

    return [
        *_identity(pa),
        *(_config_column(pa, path, columns.kinds) for path in columns.config),
        Column(
            name="config",
            type=pa.string(),
            cells=_config_texts,
            description="the whole config as JSON",
        ),
        _text(pa, "config_hash"),
        *(_score_column(pa, scorer) for scorer in columns.scores),
        *_figures(pa),
        *_moments(pa),
        *_nested(pa),
    ]


def _text(pa: ModuleType, name: str) -> Column:
    return Column(name=name, type=pa.string(), cells=_attribute(name))


def _identity(pa: ModuleType) -> Iterator[Column]:
    yield Column(name="run_id", type=pa.string(), cells=_attribute("ids"))
    yield _text(pa, "name")
    yield _text(pa, "status")
    yield Column(
        name="weighted_score",
        type=pa.float64(),
        cells=_attribute("weighted_score"),
        description="what the ranking is by; null where the run does not count",
    )
    yield Column(
        name="rank",
        type=pa.int64(),
        cells=_attribute("rank"),
        description="1 is the best",
    )


def _config_column(
    pa: ModuleType,
    path: str,
    kinds: Mapping[str, frozenset[ValueKind]],
) -> Column:
    # A column of any type holds null. A double does not hold every long, so a mix of
    # the two is JSON.
    found = kinds.get(path, frozenset({"json"})) - {"null"}
    types = (
        (frozenset({"text"}), pa.string()),
        (frozenset({"boolean"}), pa.bool_()),
        (frozenset({"integer", "long"}), pa.int64()),
        (_NUMBERS, pa.float64()),
    )
    for kind, type_ in types:
        if found <= kind:
            return Column(
                name=f"config.{path}",
                type=type_,
                cells=partial(_leaves, path),
            )
    return Column(
        name=f"config.{path}",
        type=pa.string(),
        cells=partial(_leaves_as_json, path),
        description="as JSON, since its values are of several types or lists",
    )


def _score_column(pa: ModuleType, scorer: str) -> Column:
    return Column(
        name=f"scores.{scorer}",
        type=pa.float64(),
        cells=lambda part, _: [scores.get(scorer) for scores in part.scores],
        description="the mean of the finite judgements",
    )


def _figures(pa: ModuleType) -> Iterator[Column]:
    for name, unit, type_ in (
        ("tokens_in", "tokens", pa.int64()),
        ("tokens_out", "tokens", pa.int64()),
        ("duration_ms", "ms", pa.int64()),
        ("cost_usd", "USD", pa.float64()),
    ):
        yield Column(name=name, type=type_, cells=_attribute(name), unit=unit)
    yield _text(pa, "error")
    yield Column(
        name="tags",
        type=pa.string(),
        cells=lambda part, _: [
            None if tags is None else write_json(tags) for tags in part.tags
        ],
        description="as JSON",
    )


def _moments(pa: ModuleType) -> Iterator[Column]:
    for name in ("created_at", "started_at", "finished_at", "updated_at"):
        type_ = pa.timestamp("us", tz="UTC")
        yield Column(name=name, type=type_, cells=_attribute(name))


def _nested(pa: ModuleType) -> Iterator[Column]:
    stage = pa.struct(
        [
            ("stage_name", pa.string()),
            ("output", pa.string()),
            pa.field("tokens_in", pa.int64(), metadata={"unit": "tokens"}),
            pa.field("tokens_out", pa.int64(), metadata={"unit": "tokens"}),
            pa.field("duration_ms", pa.int64(), metadata={"unit": "ms"}),
        ]
    )
    yield Column(
        name="stage_results",
        type=pa.list_(stage),
        cells=lambda part, _: [
            list(map(stage_line, stages)) for stages in part.stage_results
        ],
    )
    yield Column(
        name="judgements",
        type=pa.map_(pa.string(), pa.list_(pa.float64())),
        cells=lambda part, _: [list(one.items()) for one in part.judgements],
        description="every score as it was given, null for what is no number",
    )


def _attribute(name: str) -> Cells:
    return lambda part, _: getattr(part, name)


def _leaves(path: str, _: object, leaves: Mapping[str, Sequence[Leaf]]) -> list[object]:
    return [None if value is MISSING else value for value in leaves[path]]


def _leaves_as_json(
    path: str, _: object, leaves: Mapping[str, Sequence[Leaf]]
) -> list[object]:
    return [None if value is MISSING else write_json(value) for value in leaves[path]]


def _config_texts(part: RunBatch, _: object) -> list[str | None]:
    return [
        None if config is None else encodable(text)
        for config, text in zip(part.config, part.config_json, strict=True)
    ]
