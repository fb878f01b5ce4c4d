"""Runs as Arrow's record batches: typed columns, with units, nothing lost.

A path of configs gets the type of its values; if they have several types, or are lists,
it holds them as JSON text. `config` has the whole config as JSON text as well, which
tells null from missing and 1 from 1.0; `judgements` has every score as it was given.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from promptlooper_export.plugin import (
    JSON,
    Columns,
    Run,
    Runs,
    UnrepresentableError,
    ValueKind,
    leaves,
)
from promptlooper_formats.shared.interchange import experiment_line, stage_line
from promptlooper_formats.shared.notices import SURROGATE
from promptlooper_formats.shared.tables import config_leaves
from promptlooper_formats.shared.text import write_json

if TYPE_CHECKING:
    import pyarrow as pa

REQUIRES = {"pyarrow": "promptlooper-export[parquet]"}

EXPERIMENT_KEY = b"promptlooper.experiment"
"""The key in the schema's metadata for the line of the interchange file."""

BATCH = 500
"""Runs that are turned into columns together."""

_CHARACTERS = 4 << 20
"""Characters of text that are turned into columns together."""

_CELLS = 1_000_000
"""Cells that are turned into columns together: a wide table takes fewer runs."""

_NUMBERS: frozenset[ValueKind] = frozenset({"integer", "number"})


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name, type and unit, and what a run has in it."""

    name: str
    type: "pa.DataType"
    value: Callable[[Run, Mapping[str, JSON]], object]
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

    places = dict.fromkeys(runs.columns.config)
    for some in _batches(runs, max(1, min(BATCH, _CELLS // len(columns)))):
        found = [config_leaves(run, places) for run in some]
        arrays = []
        for column in columns:
            values = list(map(column.value, some, found))
            try:
                arrays.append(pa.array(values, column.type))
            except UnicodeEncodeError as error:
                detail = (
                    f"{column.name}: a lone surrogate has no form in UTF-8; choose "
                    "format=ndjson."
                )
                raise UnrepresentableError(detail, paths=(column.name,)) from error
        yield pa.record_batch(arrays, schema=shape)


def _batches(runs: Runs, most: int) -> Iterator[list[Run]]:
    """Yield the runs, at most so many together, and fewer if their text is long."""
    some: list[Run] = []
    characters = 0
    for run in runs.rows:
        some.append(run)
        characters += sum(map(len, _texts(run)))
        if len(some) == most or characters > _CHARACTERS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _texts(run: Run) -> Iterator[str]:
    yield run.error or ""
    for stage in run.stage_results:
        yield stage.output or ""
    for _, value in leaves(run.config or {}):
        yield value if isinstance(value, str) else ""


def table_columns(columns: Columns) -> list[Column]:
    """Return every column of a table of runs."""
    import pyarrow as pa

    return [
        *_identity(pa),
        *(_config_column(pa, path, columns.kinds) for path in columns.config),
        _text(pa, "config", "the whole config as JSON", _config_text),
        _text(pa, "config_hash", "", lambda run: run.config_hash),
        *(_score_column(pa, scorer) for scorer in columns.scores),
        *_figures(pa),
        *_moments(pa),
        *_nested(pa),
    ]


def _text(
    pa: ModuleType,
    name: str,
    description: str,
    value: Callable[[Run], object],
) -> Column:
    return Column(
        name=name,
        type=pa.string(),
        value=lambda run, _: value(run),
        description=description,
    )


def _identity(pa: ModuleType) -> Iterator[Column]:
    yield _text(pa, "run_id", "", lambda run: str(run.run_id))
    yield _text(pa, "name", "", lambda run: run.name)
    yield _text(pa, "status", "", lambda run: run.status)
    yield Column(
        name="weighted_score",
        type=pa.float64(),
        value=lambda run, _: run.weighted_score,
        description="what the ranking is by; null where the run does not count",
    )
    yield Column(
        name="rank",
        type=pa.int64(),
        value=lambda run, _: run.rank,
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
                value=lambda _, leaves: leaves.get(path),
            )
    return Column(
        name=f"config.{path}",
        type=pa.string(),
        value=lambda _, leaves: write_json(leaves[path]) if path in leaves else None,
        description="as JSON, since its values are of several types or lists",
    )


def _score_column(pa: ModuleType, scorer: str) -> Column:
    return Column(
        name=f"scores.{scorer}",
        type=pa.float64(),
        value=lambda run, _: run.scores.get(scorer),
        description="the mean of the finite judgements",
    )


def _figures(pa: ModuleType) -> Iterator[Column]:
    for name, unit, type_ in (
        ("tokens_in", "tokens", pa.int64()),
        ("tokens_out", "tokens", pa.int64()),
        ("duration_ms", "ms", pa.int64()),
        ("cost_usd", "USD", pa.float64()),
    ):
        yield Column(name=name, type=type_, value=_attribute(name), unit=unit)
    yield _text(pa, "error", "", lambda run: run.error)
    yield _text(
        pa,
        "tags",
        "as JSON",
        lambda run: None if run.tags is None else write_json(run.tags),
    )


def _moments(pa: ModuleType) -> Iterator[Column]:
    for name in ("created_at", "started_at", "finished_at", "updated_at"):
        type_ = pa.timestamp("us", tz="UTC")
        yield Column(name=name, type=type_, value=_attribute(name))


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
        value=lambda run, _: list(map(stage_line, run.stage_results)),
    )
    yield Column(
        name="judgements",
        type=pa.map_(pa.string(), pa.list_(pa.float64())),
        value=lambda run, _: list(run.judgements.items()),
        description="every score as it was given, null for what is no number",
    )


def _attribute(name: str) -> Callable[[Run, Mapping[str, JSON]], object]:
    return lambda run, _: getattr(run, name)


def _config_text(run: Run) -> str | None:
    return None if run.config is None else write_json(run.config)
