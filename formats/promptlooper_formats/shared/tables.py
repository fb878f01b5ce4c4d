"""The columns of a table of runs: the same in every tabular format."""

from collections.abc import Container, Iterator, Sequence
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
        cells = zip(batch.config_json, batch.stage_results, strict=True)
        for place, (config, stages) in enumerate(cells):
            size = len(config) + sum(len(stage.output or "") for stage in stages)
            characters += size
            is_full = place - start == most or characters > _CHARACTERS
            if is_full and place > start:
                yield batch[start:place]
                start, characters = place, size
        yield batch[start:] if start else batch


def config_columns(batch: RunBatch, paths: Sequence[str]) -> dict[str, Sequence[Leaf]]:
    """Return what the runs' configs have at each path, a cell for each run.

    Raises UnrepresentableError for a leaf at any other path.
    """
    known = frozenset(paths)
    columns: dict[str, list[Leaf]] = {}
    configs = [(place, config) for place, config in enumerate(batch.config) if config]
    for path, places, values in leaf_columns(configs):
        if path not in known:
            _refuse(batch, known)
        if path not in columns:
            columns[path] = [MISSING] * len(batch)
        column = columns[path]
        for place, value in zip(places, values, strict=True):
            column[place] = value
    nothing = [MISSING] * len(batch)
    return {path: columns.get(path, nothing) for path in paths}


def _refuse(batch: RunBatch, known: Container[str]) -> NoReturn:
    """Name the leaves without a column, of the first run that has one."""
    for config in batch.config:
        paths = tuple(
            f"config.{path}" for path, _ in leaves(config or {}) if path not in known
        )
        if paths:
            detail = f"There is no column for {paths[0]}; choose format=ndjson."
            raise UnrepresentableError(detail, paths=paths)
    raise AssertionError
