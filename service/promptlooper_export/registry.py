"""Find the formats that are installed, and leave out those that cannot be offered."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from promptlooper_export.documents import Runs
from promptlooper_export.events import FormatLeftOut
from promptlooper_export.plugin import ENTRY_POINT_GROUP, Format

logger = logging.getLogger(__name__)

AnyFormat: TypeAlias = Format[Any]

BUILT_IN_ORDER = (
    "json", "env", "yaml", "toml", "markdown", "html", "report-json",
    "csv", "ndjson", "parquet", "arrow", "xlsx",
    "configmap", "secret", "tfvars", "github-output",
)  # fmt: skip
"""The order in which built-in formats break ties; plugins follow by name."""


@dataclass(frozen=True, kw_only=True)
class BrokenFormat:
    """An entry point that is not offered, and why."""

    name: str
    distribution: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The formats on offer, in the server's order of preference, and those left out.

    `versions` says which distribution brings a format, and in which version.
    """

    formats: Mapping[str, AnyFormat]
    versions: Mapping[str, str]
    broken: tuple[BrokenFormat, ...] = ()


def discover() -> Registry:
    """Load every entry point of the group, each in its own guard."""
    return build(entry_points(group=ENTRY_POINT_GROUP))


def build(found: Iterable[EntryPoint]) -> Registry:
    """Register entry points: built-ins, then plugins; the first of a name wins."""
    formats: dict[str, AnyFormat] = {}
    versions: dict[str, str] = {}
    taken: dict[str, str] = {}
    broken: list[BrokenFormat] = []
    for point in sorted(found, key=_precedence):
        loaded = _load(point)
        reason = (
            loaded if isinstance(loaded, str) else _conflict(loaded, formats, taken)
        )
        if isinstance(loaded, str) or reason is not None:
            left_out = BrokenFormat(
                name=point.name, distribution=_distribution(point), reason=reason or ""
            )
            broken.append(left_out)
            logger.warning(FormatLeftOut(**vars(left_out)))
            continue
        formats[loaded.name] = loaded
        version = point.dist.version if point.dist else ""
        versions[loaded.name] = f"{_distribution(point)} {version}"
        taken.update(dict.fromkeys(map(str.lower, loaded.media_types), loaded.name))
    return Registry(formats=formats, versions=versions, broken=tuple(broken))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _precedence(point: EntryPoint) -> tuple[int, str, str]:
    if _distribution(point) == "promptlooper-export" and point.name in BUILT_IN_ORDER:
        return BUILT_IN_ORDER.index(point.name), "", ""
    return len(BUILT_IN_ORDER), point.name, _distribution(point)


def _load(point: EntryPoint) -> AnyFormat | str:
    """Load a format, or say why it cannot be offered."""
    try:
        loaded = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a stranger's import may even exit
        return f"import failed: {type(error).__name__}: {error}"
    if not isinstance(loaded, Format):
        return f"{point.value} is no promptlooper_export.plugin.Format"
    if loaded.document is Runs:
        return "this release makes no document of runs"
    return loaded


def _conflict(
    candidate: AnyFormat, formats: Mapping[str, AnyFormat], taken: Mapping[str, str]
) -> str | None:
    if candidate.name in formats:
        return f"the name {candidate.name!r} is taken"
    for media_type in candidate.media_types:
        if owner := taken.get(media_type.lower()):
            return f"the media type {media_type} is taken by {owner!r}"
    return None
