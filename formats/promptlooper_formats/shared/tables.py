"""The columns of a table of runs: the same in every tabular format."""

from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import (
    JSON,
    Columns,
    Notice,
    Run,
    UnrepresentableError,
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


def config_leaves(run: Run, columns: Mapping[str, object]) -> dict[str, JSON]:
    """Return every leaf of a run's config by its path, as text.

    Raises UnrepresentableError for one that has no column.
    """
    found = dict(leaves(run.config or {}))
    if not found.keys() <= columns.keys():
        paths = tuple(f"config.{path}" for path in found if path not in columns)
        detail = f"There is no column for {paths[0]}; choose format=ndjson."
        raise UnrepresentableError(detail, paths=paths)
    return found
