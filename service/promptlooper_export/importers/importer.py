"""Find the importer that recognises a file, and read the best documents of exports."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeAlias

from marshmallow import ValidationError

from promptlooper_export.documents import Best, Notice
from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.importers.looks import unrecognised
from promptlooper_export.records import Records
from promptlooper_export.schemas import BestSchema

ENTRY_POINT_GROUP = "promptlooper_export.importers"

OnUnknown: TypeAlias = Callable[[str, str, str], None]
"""What to do about a member that nobody understands: place, name, and a hint."""


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """What the columns of a table are that another program wrote.

    `scores` and `config` hold names or patterns such as `param.*`; `name` is the column
    of the runs' names. At least one of them is given.
    """

    scores: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Importer:
    """A reader of one tool's results, found under its entry point's name.

    `recognises` looks at a source without reading it whole. `read` raises SourceError
    naming the source and the place in it, at any point of the iteration.

    `read_leniently`, if there is one, reads the same, but leaves out each member that
    it does not know, after calling the function that it is given.

    `read_columns`, if there is one, reads a table in which the mapping says what the
    columns are.
    """

    title: str
    recognises: Callable[[str], bool]
    read: Callable[[str], Records]
    read_leniently: Callable[[str, OnUnknown], Records] | None = None
    read_columns: Callable[[str, ColumnMapping], Records] | None = None


class UnknownSourceError(SourceError):
    """No importer recognises the source."""


def refuse(place: str, name: str, hint: str) -> None:
    """Raise SourceError for a member that the importer does not know."""
    msg = f"{place}: unknown member {name!r}{hint}; import --lenient leaves it out"
    raise SourceError(msg)


def hint(name: str, known: Mapping[str, str]) -> str:
    """Ask for the nearest known name, or say nothing; `known` may give longer names."""
    near = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {known[near[0]]}?" if near else ""


def installed() -> Mapping[str, EntryPoint]:
    """Return the entry points of all importers by kind, none of them loaded yet."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def choose(source: str, *, kind: str | None, is_mapped: bool = False) -> Importer:
    """Return the importer of this kind, or else the first that recognises the source.

    If the source is mapped, only importers that take a column mapping are asked.
    Raises UsageError for an unknown kind and UnknownSourceError if no importer
    recognises the source.
    """
    points = installed()
    if kind is not None:
        if kind not in points:
            known = ", ".join(sorted(points))
            msg = f"{kind!r} is not a kind of source; known are: {known}"
            raise UsageError(msg)
        named = _load(points[kind])
        if is_mapped and named.read_columns is None:
            msg = f"{named.title}: its columns are known and cannot be mapped"
            raise UsageError(msg)
        return named
    for name in sorted(points):
        importer = _load(points[name])
        if is_mapped and importer.read_columns is None:
            continue
        if importer.recognises(source):
            return importer
    raise UnknownSourceError(unrecognised(source))


def _load(point: EntryPoint) -> Importer:
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        msg = f"the importer {point.name} cannot be loaded ({error}); reinstall it"
        raise SourceError(msg) from error
    if not isinstance(loaded, Importer):
        msg = f"{point.value} is not an Importer; remove the package that declares it"
        raise SourceError(msg)
    return loaded


def read_best(source: str, data: bytes) -> Best:
    """Read a JSON export of the best config. Raises SourceError for anything else."""
    try:
        loaded: Any = json.loads(data)
        values = BestSchema().load(loaded)
    except (ValueError, ValidationError, TypeError) as error:
        msg = (
            f"{Path(source).name} is not a JSON export of a best config, or not whole: "
            f"{error}"
        )
        raise SourceError(msg) from error
    values["warnings"] = tuple(
        Notice(code=row["code"], message=row["message"], path=row.get("path"))
        for row in values["warnings"]
    )
    return Best(**{field.name: values[field.name] for field in fields(Best)})
