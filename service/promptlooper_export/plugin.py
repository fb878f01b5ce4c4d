"""Everything that the author of a format imports.

A format is a value: a `Format` under the entry-point group
`promptlooper_export.formats`. Its `render` turns one document into bytes, whole or in
pieces; it sees no request, no database and no web framework. The built-in formats use
only this module, too.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from promptlooper_export.documents import (
    JSON,
    Best,
    Bin,
    Columns,
    Difference,
    Differences,
    Experiment,
    Notice,
    Period,
    RankedRun,
    Report,
    Run,
    Runs,
    ScorerStatistics,
    StageResult,
    Timing,
    ValueKind,
    Winner,
)
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.format import API_VERSION, Format
from promptlooper_export.schemas import BestSchema, ReportSchema, timestamp

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "JSON",
    "ROOT",
    "Best",
    "BestSchema",
    "Bin",
    "Columns",
    "Difference",
    "Differences",
    "Experiment",
    "Format",
    "Notice",
    "Path",
    "Period",
    "RankedRun",
    "Report",
    "ReportSchema",
    "Run",
    "Runs",
    "ScorerStatistics",
    "StageResult",
    "Timing",
    "UnrepresentableError",
    "ValueKind",
    "Winner",
    "flatten",
    "leaves",
    "timestamp",
]

ENTRY_POINT_GROUP = "promptlooper_export.formats"

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Path(tuple[str, ...]):
    """Where a value stands in a config: the keys, and places in lists, from the top."""

    __slots__ = ()

    def __str__(self) -> str:
        """Join the keys with dots; a key with other characters is quoted."""
        return ".".join(
            key if _PLAIN_KEY.fullmatch(key) else '"' + key.replace('"', '\\"') + '"'
            for key in self
        )


ROOT = Path()
"""The path of the config itself."""


def leaves(config: Mapping[str, JSON], parent: str = "") -> Iterator[tuple[str, JSON]]:
    """Yield what flatten yields, each path as text: in a fifth of the time."""
    for key, value in config.items():
        path = f"{parent}{_segment(key)}"
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


@lru_cache(maxsize=10_000)
def _segment(key: str) -> str:
    return str(Path((key,)))


def flatten(
    config: Mapping[str, JSON], parent: Path = ROOT
) -> Iterator[tuple[Path, JSON]]:
    """Yield every leaf of a config with its path, in the order of the config.

    A leaf is anything but a non-empty object: lists and empty objects are leaves.
    """
    for key, value in config.items():
        path = Path((*parent, key))
        if isinstance(value, dict) and value:
            yield from flatten(value, path)
        else:
            yield path, value
