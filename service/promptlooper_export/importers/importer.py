"""What an importer is, and which ones are installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.records import Records

ENTRY_POINT_GROUP = "promptlooper_export.importers"


@dataclass(frozen=True, kw_only=True)
class Importer:
    """A reader of one tool's results, found under its entry point's name.

    `recognises` looks at a source without reading it whole. `read` raises SourceError
    naming the source and the place in it, at any point of the iteration.
    """

    title: str
    recognises: Callable[[str], bool]
    read: Callable[[str], Records]


def installed() -> Mapping[str, EntryPoint]:
    """Return the entry points of all importers by kind, none of them loaded yet."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def choose(source: str, *, kind: str | None) -> Importer:
    """Return the importer of this kind, or else the first that recognises the source.

    Raises UsageError for an unknown kind and SourceError where nobody recognises it.
    """
    points = installed()
    known = ", ".join(sorted(points))
    if kind is not None:
        if kind not in points:
            msg = f"{kind!r} is no kind of source; known are: {known}"
            raise UsageError(msg)
        return _load(points[kind])
    for name in sorted(points):
        importer = _load(points[name])
        if importer.recognises(source):
            return importer
    msg = f"{source}: recognised by none of {known}; name the kind with --from"
    raise SourceError(msg)


def _load(point: EntryPoint) -> Importer:
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        msg = f"the importer {point.name} cannot be loaded ({error}); reinstall it"
        raise SourceError(msg) from error
    if not isinstance(loaded, Importer):
        msg = f"{point.value} is no Importer; remove the package that declares it"
        raise SourceError(msg)
    return loaded
