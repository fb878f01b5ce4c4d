"""Find the installed formats, and read their options."""

import dataclasses
import logging
import math
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, NamedTuple, TypeAlias

from marshmallow import RAISE, Schema, ValidationError, fields, missing
from marshmallow.validate import OneOf, Range

from promptlooper_export.configs import JSON
from promptlooper_export.errors import (
    ExportError,
    FormatFailedError,
    FormatNotInstalledError,
    InvalidParameterError,
)
from promptlooper_export.events import FormatLeftOut
from promptlooper_export.format import Format, as_format
from promptlooper_export.plugin import ENTRY_POINT_GROUP
from promptlooper_export.sandbox.format import ForeignFormat
from promptlooper_export.sandbox.launcher import Sandbox

logger = logging.getLogger(__name__)

AnyFormat: TypeAlias = Format[Any]

OURS = "promptlooper-export"

# The first match counts, and other fields are strings.
_TYPES = (
    (fields.Boolean, "boolean"),
    (fields.Integer, "integer"),
    (fields.Float, "number"),
)

BUILT_IN_ORDER = (
    "json", "env", "yaml", "toml", "markdown", "html", "report-json",
    "csv", "ndjson", "parquet", "arrow", "xlsx",
    "configmap", "secret", "tfvars", "github-output",
)  # fmt: skip
"""The order in which built-in formats break ties; plugins follow by package."""

_REASON_SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class BrokenFormat:
    """An entry point that was left out, and why."""

    name: str
    distribution: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The available formats, in the server's order of preference, and those left out.

    `versions` says which distribution brings a format, and in which version; `missing`
    has the command that installs what a format lacks here.
    """

    formats: Mapping[str, AnyFormat]
    versions: Mapping[str, str]
    broken: tuple[BrokenFormat, ...] = ()
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def require(self, name: str) -> None:
        """Raise FormatNotInstalledError if the format lacks a library here."""
        if name in self.missing:
            detail = (
                f"The format {name!r} needs a library that is not installed here: "
                f"{self.missing[name]}"
            )
            raise FormatNotInstalledError(
                detail, format=name, install=self.missing[name]
            )


class _Candidate(NamedTuple):
    """An entry point, and the name and version of the distribution that brings it."""

    point: EntryPoint
    distribution: str
    version: str


class _UnusableError(Exception):
    """The reason why an entry point is left out."""


def discover(*, sandbox_seconds: float = math.inf) -> Registry:
    """Load every entry point of the group, each in its own guard.

    A third-party format has `sandbox_seconds` for each rendering or reading.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    return build(found, sandbox=Sandbox(seconds=sandbox_seconds))


def build(found: Iterable[EntryPoint], *, sandbox: Sandbox) -> Registry:
    """Register entry points: built-ins, then plugins; the first of a name wins."""
    formats: dict[str, AnyFormat] = {}
    versions: dict[str, str] = {}
    owners: dict[str, str] = {}
    broken: list[BrokenFormat] = []
    # Sorted, since installation order would otherwise decide who gets a name.
    for candidate in sorted(_candidates(found), key=_precedence):
        try:
            loaded = _load(candidate, sandbox)
            _refuse_conflict(loaded, formats, owners)
        except _UnusableError as error:
            left_out = BrokenFormat(
                name=candidate.point.name,
                distribution=candidate.distribution,
                reason=str(error),
            )
            broken.append(left_out)
            logger.warning(FormatLeftOut(**vars(left_out)))
            continue
        formats[loaded.name] = loaded
        versions[loaded.name] = f"{candidate.distribution} {candidate.version}"
        # RFC 9110, section 8.3.1: the case of media types does not matter.
        owners.update(dict.fromkeys(map(str.lower, loaded.media_types), loaded.name))
    missing = {
        name: f"pip install {' '.join(map(repr, requirements))}"
        for name, row in formats.items()
        if (requirements := row.missing())
    }
    return Registry(
        formats=formats, versions=versions, broken=tuple(broken), missing=missing
    )


def _candidates(found: Iterable[EntryPoint]) -> Iterator[_Candidate]:
    """Yield the entry points with the distributions that bring them."""
    # The name and the version are each parsed from a file that holds the whole README.
    read: dict[Distribution, tuple[str, str]] = {}
    for point in found:
        if point.dist is None:
            yield _Candidate(point, "unknown", "")
            continue
        if point.dist not in read:
            metadata = point.dist.metadata
            read[point.dist] = metadata["Name"], metadata["Version"]
        yield _Candidate(point, *read[point.dist])


def _precedence(candidate: _Candidate) -> tuple[int, str, str]:
    name = candidate.point.name
    if candidate.distribution == OURS and name in BUILT_IN_ORDER:
        return BUILT_IN_ORDER.index(name), "", ""
    return len(BUILT_IN_ORDER), candidate.distribution, name


def _load(candidate: _Candidate, sandbox: Sandbox) -> AnyFormat:
    """Load a format; a third-party one is loaded again in the sandbox, by its place.

    Raises _UnusableError.
    """
    point = candidate.point
    # Standard output is for data, whatever a third party prints on import.
    with redirect_stdout(sys.stderr):
        try:
            declared = point.load()
        except BaseException as error:  # an import may even exit
            raise _UnusableError(_reason("import failed", error)) from error
        try:
            loaded = as_format(declared)
        except BaseException as error:  # so may calling a class
            msg = _reason(f"{point.value} declares no format", error)
            raise _UnusableError(msg) from error
    if candidate.distribution == OURS:
        return loaded
    # `render` is part of the declaration, but is never called in this process.
    declaration = {
        row.name: getattr(loaded, row.name) for row in dataclasses.fields(Format)
    }
    return ForeignFormat(**declaration, source=point.value, sandbox=sandbox)


def _reason(what: str, error: BaseException) -> str:
    """Say what failed, with the last line of a traceback: str() may fail itself."""
    return f"{what}: {traceback.format_exception_only(error)[-1].strip()}"[
        :_REASON_SHOWN
    ]


def _refuse_conflict(
    candidate: AnyFormat, formats: Mapping[str, AnyFormat], owners: Mapping[str, str]
) -> None:
    """Raise _UnusableError if the name or a media type is taken."""
    if candidate.name in formats:
        msg = f"the name {candidate.name!r} is taken"
        raise _UnusableError(msg)
    for media_type in candidate.media_types:
        if owner := owners.get(media_type.lower()):
            msg = f"the media type {media_type} is taken by {owner!r}"
            raise _UnusableError(msg)


@lru_cache(maxsize=256)
def strict(schema: type[Schema]) -> Schema:
    """Return the schema, made once, as it loads options: unknown ones are refused."""
    return schema(unknown=RAISE)


def names_of(schema: type[Schema]) -> list[str]:
    """Return the names of a schema's options, as queries have them."""
    fields = strict(schema).load_fields
    return [field.data_key or name for name, field in fields.items()]


def load_options(
    schema: type[Schema], pairs: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Validate the pairs with the schema and return the keywords of `render`.

    Raises InvalidParameterError for a name that the schema does not have, a name that
    comes twice and a value that the schema refuses; `parameter` holds the name, and
    `allowed`, for an unknown name, all the schema's names.
    """
    loader = strict(schema)
    allowed = names_of(schema)
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            detail = f"Unknown parameter {name!r}; {_choice(allowed)}."
            raise InvalidParameterError(detail, parameter=name, allowed=allowed)
        # Refused, since proxies and frameworks differ in which one of two they take.
        if name in values:
            detail = f"The parameter {name!r} is given more than once; give it once."
            raise _refusal(detail, loader, name)
        values[name] = value
    try:
        loaded: dict[str, Any] = loader.load(values)
    except ValidationError as error:
        # The first one is enough: a refusal names one parameter.
        name, messages = next(iter(error.messages_dict.items()))
        reason = " ".join(messages) if isinstance(messages, list) else str(messages)
        detail = f"The parameter {name!r} has a value that is not allowed: {reason}"
        raise _refusal(detail, loader, name) from None
    return loaded


@lru_cache(maxsize=512)
def _load_repeated(
    schema: type[Schema], pairs: tuple[tuple[str, str], ...]
) -> Mapping[str, Any]:
    return load_options(schema, pairs)


def load_format_options(
    format: Format[Any],
    pairs: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """Validate the pairs with the schema of a format, which may be a third party's.

    Raises InvalidParameterError, and FormatFailedError if the schema raises anything
    but marshmallow's ValidationError.
    """
    try:
        if format.is_repeatable:
            return dict(_load_repeated(format.options, tuple(pairs)))
        return load_options(format.options, pairs)
    except ExportError:
        raise
    except Exception as error:
        kind = type(error).__name__
        detail = (
            f"The options of {format.name!r} failed: {kind}. Choose another format."
        )
        raise FormatFailedError(detail, format=format.name) from error


def _choice(allowed: list[str]) -> str:
    return f"allowed are: {', '.join(allowed)}" if allowed else "none is allowed here"


def _refusal(detail: str, schema: Schema, name: str) -> InvalidParameterError:
    """Refuse a value of the option, and list what it may be if the schema declares it.

    `name` may not belong to any field, since a schema can report any name.
    """
    for key, field in schema.load_fields.items():
        allowed = _allowed(field)
        if (field.data_key or key) == name and allowed is not None:
            return InvalidParameterError(detail, parameter=name, allowed=allowed)
    return InvalidParameterError(detail, parameter=name)


def describe_options(schema: type[Schema]) -> list[dict[str, JSON]]:
    """Describe each option of a format: name, type and, if declared, what is allowed.

    `allowed` is a list of values, or an object with `minimum` and `maximum`.
    """
    return [
        _option(field.data_key or name, field)
        for name, field in schema().load_fields.items()
    ]


def _option(name: str, field: fields.Field[Any]) -> dict[str, JSON]:
    row: dict[str, JSON] = {"name": name, "type": "string"}
    for kind, word in _TYPES:
        if isinstance(field, kind):
            row["type"] = word
    # A default can be a function, which says nothing to a reader.
    if field.load_default is not missing and not callable(field.load_default):
        row["default"] = _plain(field.load_default)
    if "description" in field.metadata:
        row["description"] = field.metadata["description"]
    if (allowed := _allowed(field)) is not None:
        row["allowed"] = allowed
    return row


def _allowed(field: fields.Field[Any]) -> JSON:
    """Return the choices of a field, or its bounds; None if it declares neither."""
    allowed: JSON = None
    for validator in field.validators:
        if isinstance(validator, OneOf):
            allowed = list(map(_plain, validator.choices))
        elif isinstance(validator, Range):
            bounds = {"minimum": validator.min, "maximum": validator.max}
            allowed = {name: _plain(bound) for name, bound in bounds.items()}
    return allowed


def _plain(value: object) -> JSON:
    """Return a default, choice or bound as JSON, or as text: it can be any object."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
    return str(value)
