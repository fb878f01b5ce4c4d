"""Everything that the author of a format imports.

A format is a value: a `Format` under the entry-point group
`promptlooper_export.formats`. Its `render` turns one document into bytes, whole or in
pieces; it sees no request, no database and no web framework. The built-in formats use
only this module, too.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Concatenate, Generic, TypeVar

from marshmallow import Schema

from promptlooper_export.documents import (
    JSON,
    Best,
    Bin,
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
    Timing,
    Winner,
)
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.schemas import BestSchema, ReportSchema, timestamp

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "JSON",
    "Best",
    "BestSchema",
    "Bin",
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
    "Timing",
    "UnrepresentableError",
    "Winner",
    "flatten",
    "timestamp",
]

API_VERSION = 1
ENTRY_POINT_GROUP = "promptlooper_export.formats"

D = TypeVar("D", Best, Report, Runs)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TCHARS = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # RFC 9110, section 5.6.2
_MEDIA_TYPE = re.compile(rf"(?!\*){_TCHARS}/(?!\*){_TCHARS}")
_EXTENSION = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Format(Generic[D]):
    """A renderer and what the service must know to offer it.

    `media_types` lists the canonical type first, aliases after it, without parameters.
    `options` is a marshmallow schema; its loaded fields become keyword arguments of
    `render`. `render` may yield a `Notice` between pieces; readers get it separately.
    A value that the format cannot hold is refused with `UnrepresentableError`.

    Raises ValueError where the declaration is no usable one.
    """

    name: str
    title: str
    document: type[D]
    media_types: tuple[str, ...]
    extension: str
    render: Callable[Concatenate[D, ...], Iterator[bytes | Notice]]
    options: type[Schema] = Schema
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        """Refuse a declaration that could not be offered."""
        if self.api_version != API_VERSION:
            msg = f"written for plugin API {self.api_version}, this is {API_VERSION}"
            raise ValueError(msg)
        if not _NAME.fullmatch(self.name):
            msg = f"name {self.name!r} is not lower-case words joined by hyphens"
            raise ValueError(msg)
        if self.document not in (Best, Report, Runs):
            msg = f"document of {self.name} is not Best, Report or Runs"
            raise ValueError(msg)
        if not self.media_types or not all(
            map(_MEDIA_TYPE.fullmatch, self.media_types)
        ):
            msg = f"media_types of {self.name} are not types such as 'text/csv'"
            raise ValueError(msg)
        if not _EXTENSION.fullmatch(self.extension):
            msg = f"extension {self.extension!r} of {self.name} is not like 'tar.gz'"
            raise ValueError(msg)


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
