"""The columns of a table of runs: the same in every tabular format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

from promptlooper_export.plugin import (
    JSON,
    Columns,
    Notice,
    RunBatch,
    Runs,
    UnrepresentableError,
    leaf_columns,
    leaves,
)

BEFORE_CONFIG = ("run_id", "name", "status", "weighted_score", "rank")
AFTER_SCORES = (
    "tokens_in", "tokens_out", "duration_ms", "cost_usd", "error", "tags",
    "created_at", "started_at", "finished_at", "updated_at",
)  # fmt: skip


def names(columns: Columns) -> list[str]:
    """Return the names of the columns, in their order."""
    return [
        *BEFORE_CONFIG,
        *(f"config.{path}" for path in columns.config),
        "config_hash",
        *(f"scores.{scorer}" for scorer in columns.scores),
        *AFTER_SCORES,
    ]


def alike(header: list[str]) -> Iterator[Notice]:
    """Name the columns that differ from another one only by case."""
    spelled: dict[str, str] = {}
    for name in header:
        if spelled.setdefault(name.casefold(), name) != name:
            yield Notice(
                code="columns-differ-by-case",
                message=(
                    f"The column {name} differs from another one by case only: SQL "
                    "engines, DuckDB among them, rename one of the two."
                ),
                path=name,
            )


class Missing:
    """What a run has in the column of a path that its config lacks."""


MISSING: Final = Missing()
Leaf: TypeAlias = JSON | Missing


_CELLS = 250_000
_CHARACTERS = 4 << 20
"""Cells and characters of a part: it has fewer runs if they are wide or long."""


def parts(runs: Runs) -> Iterator[RunBatch]:
    """Yield the runs, as many together as are turned into columns at once."""
    columns = runs.columns
    most = max(1, _CELLS // (len(columns.config) + len(columns.scores) + 1))
    for batch in runs.batches:
        start, characters = 0, 0
        for place, size in enumerate(map(len, batch.config_json)):
            characters += size + sum(
                len(stage.output or "") for stage in batch.stage_results[place]
            )
            if place - start == most or characters > _CHARACTERS:
                yield batch[start:place]
                start, characters = place, size
        yield batch[start:] if start else batch


def config_columns(
    batch: RunBatch, known: Mapping[str, object]
) -> dict[str, Sequence[Leaf]]:
    """Return every leaf of the runs' configs by its path as text, a cell for each run.

    Raises UnrepresentableError for one that is not among the `known` columns.
    """
    columns: dict[str, list[Leaf]] = {}
    configs = [(place, config) for place, config in enumerate(batch.config) if config]
    for path, places, values in leaf_columns(configs):
        if path not in known:
            _refuse(batch, known)
        if len(places) == len(batch):
            columns[path] = list(values)
            continue
        column = columns.setdefault(path, [MISSING] * len(batch))
        for place, value in zip(places, values, strict=True):
            column[place] = value
    return dict(columns)


def _refuse(batch: RunBatch, known: Mapping[str, object]) -> NoReturn:
    """Name the leaves without a column, of the first run that has one."""
    for config in batch.config:
        paths = tuple(
            f"config.{path}" for path, _ in leaves(config or {}) if path not in known
        )
        if paths:
            detail = f"There is no column for {paths[0]}; choose format=ndjson."
            raise UnrepresentableError(detail, paths=paths)
    raise AssertionError
