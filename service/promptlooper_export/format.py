"""What a format declares, and which declarations are valid."""

import inspect
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, ClassVar, Concatenate, Generic, TypeVar

from marshmallow import Schema, missing

from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Notice, Report, Runs
from promptlooper_export.errors import FormatTimeoutError

API_VERSION = 1

COMMON_PARAMETERS = frozenset(
    (
        "format", "top_n", "reproducible", "redact", "limit", "after",
        "weights", "directions", "required", "by", "min_runs", "repeat_over", "prefer",
        "baseline", "margin", "against", "force",
    )
)  # fmt: skip
"""Parameters that formats share; no option may have one of these names."""

D = TypeVar("D", Best, Report, Runs)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TCHARS = r"[A-Za-z0-9!#$%&'+.^_`|~-]+"  # RFC 9110, section 5.6.2, without wildcards
_MEDIA_TYPE = re.compile(f"{_TCHARS}/{_TCHARS}")
_MODULE = re.compile(r"[A-Za-z_]\w*")
_EXTENSION = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Format(Generic[D]):
    """A renderer and what the service must know to offer it.

    `media_types` lists the canonical type first, then aliases, without parameters.
    `options` is a marshmallow schema; its loaded fields become keyword arguments of
    `render`. `render` returns all the bytes or yields them in pieces. Between pieces it
    may yield a `Notice`, which readers get separately. It refuses a value that the
    format cannot hold with `UnrepresentableError`.

    `requires` maps the import name of each module that `render` needs, and that may be
    missing, to what pip should install; the format is available if all are installed.

    A format of runs that never uses `columns` sets `needs_columns` to False, since
    finding them reads every config once more.

    A format of reports that uses `decision` sets `needs_decision` to True: it takes a
    pass over all scores.

    A format whose files hold secrets in clear sets `private` to True; the command line
    then creates them for their owner only.

    `read`, if given, is the inverse for a format of the best config: it takes the bytes
    and the same options, and returns the config as far as the format can express it. If
    the file is truncated or invalid, it raises ValueError, which says where.

    Raises ValueError if the declaration is invalid.
    """

    name: str
    title: str
    document: type[D]
    media_types: tuple[str, ...]
    extension: str
    render: Callable[Concatenate[D, ...], bytes | Iterable[bytes | Notice]]
    options: type[Schema] = Schema
    requires: Mapping[str, str] = field(default_factory=dict)
    read: Callable[Concatenate[bytes, ...], Mapping[str, JSON]] | None = None
    needs_columns: bool = True
    needs_decision: bool = False
    private: bool = False
    api_version: int = API_VERSION

    is_repeatable: ClassVar[bool] = True
    """Whether options depend on the query alone, and bytes on document and options."""

    def __post_init__(self) -> None:
        """Refuse an invalid declaration."""
        for complaint in _complaints(self):
            raise ValueError(complaint)

    def missing(self) -> tuple[str, ...]:
        """Return what pip must install before the format can render."""
        return tuple(
            requirement
            for module, requirement in self.requires.items()
            # find_spec() imports nothing, and extras are slow to import.
            if find_spec(module) is None
        )

    def stream(
        self,
        document: D,
        options: Mapping[str, Any] = MappingProxyType({}),
        *,
        deadline: float = math.inf,
    ) -> Iterator[bytes | Notice]:
        """Render, and yield each piece at once; a whole body is one piece.

        `options` are keyword arguments of `render`; `deadline` is a time of
        time.monotonic(). Raises FormatTimeoutError after it, TypeError for anything but
        bytes and notices, and what `render` raises.
        """
        rendered = self.render(document, **options)
        # Iterating over bytes would yield numbers.
        for piece in [rendered] if isinstance(rendered, bytes) else rendered:
            if not isinstance(piece, bytes | Notice):
                msg = f"render of {self.name} yielded {type(piece).__name__}, no bytes"
                raise TypeError(msg)
            # Only between pieces, since nothing can interrupt a thread.
            if time.monotonic() > deadline:
                raise FormatTimeoutError(self.name)
            yield piece

    def parse(
        self, data: bytes, options: Mapping[str, Any] = MappingProxyType({})
    ) -> Mapping[str, JSON]:
        """Return the config in a file of this format, as far as it can express it.

        Raises ValueError if the file is truncated or invalid, or if the format has no
        `read`.
        """
        if self.read is None:
            msg = f"the format {self.name!r} cannot be read back"
            raise ValueError(msg)
        return self.read(data, **options)


def as_format(declared: object) -> Format[Any]:
    """Return the format that an object declares, as a `Format` or by its attributes.

    A class is called without arguments first. Attributes have the names of the fields
    of `Format`; those with a default may be absent. Raises AttributeError if one is
    missing, ValueError if the declaration is invalid, and whatever the class raises.
    """
    value = declared() if isinstance(declared, type) else declared
    if isinstance(value, Format):
        return value
    return Format(
        **{
            row.name: getattr(value, row.name)
            for row in fields(Format)
            if _is_required(row) or hasattr(value, row.name)
        }
    )


def _is_required(row: Field[Any]) -> bool:
    return row.default is MISSING and row.default_factory is MISSING


def _complaints(format: Format[Any]) -> Iterator[str]:
    """Say what is wrong with a declaration, worst first."""
    if format.api_version != API_VERSION:
        yield f"written for plugin API {format.api_version}, this is {API_VERSION}"
    if not _fits(_NAME, format.name):
        yield f"name {format.name!r} is not lower-case words joined by hyphens"
    if not isinstance(format.title, str) or not format.title.strip():
        yield f"title of {format.name} is empty"
    elif not format.title.isprintable():
        yield f"title of {format.name} has control characters"
    if format.document not in (Best, Report, Runs):
        yield f"document of {format.name} is not Best, Report or Runs"
    yield from _media_type_complaints(format)
    if not _fits(_EXTENSION, format.extension):
        yield f"extension {format.extension!r} of {format.name} is not like 'tar.gz'"
    if not isinstance(format.requires, Mapping) or not all(
        _fits(_MODULE, module) and isinstance(requirement, str)
        for module, requirement in format.requires.items()
    ):
        yield f"requires of {format.name} does not map modules to requirements of pip"
    if not isinstance(format.options, type) or not issubclass(format.options, Schema):
        yield f"options of {format.name} is not a subclass of marshmallow.Schema"
    else:
        yield from _option_complaints(format)


def _media_type_complaints(format: Format[Any]) -> Iterator[str]:
    types = format.media_types
    if not isinstance(types, tuple | list) or not types:
        yield f"media_types of {format.name} is not a tuple of types"
    elif not all(_fits(_MEDIA_TYPE, media_type) for media_type in types):
        yield (
            f"media_types of {format.name} are not plain types such as 'text/csv', "
            "without wildcards and parameters"
        )
    elif len(set(map(str.lower, types))) < len(types):
        yield f"media_types of {format.name} name one twice"


def _option_complaints(format: Format[Any]) -> Iterator[str]:
    """Say which options the format cannot have, and whether `render` takes them all."""
    options = format.options().load_fields
    for name, option in options.items():
        if (public := option.data_key or name) in COMMON_PARAMETERS:
            yield f"option {public!r} of {format.name} is a parameter of every format"
        if not isinstance(option.metadata.get("description", ""), str):
            yield f"the description of option {public!r} of {format.name} is not text"
    always = {
        field.attribute or name: field
        for name, field in options.items()
        if field.required or field.load_default is not missing
    }
    every = [field.attribute or name for name, field in options.items()]
    # Options without a default may be absent, so render must take the call both ways.
    for keywords in (every, always):
        try:
            # A wrong signature would otherwise show up only in somebody's request.
            inspect.signature(format.render).bind(object(), **dict.fromkeys(keywords))
        except (TypeError, ValueError) as error:
            yield (
                f"render of {format.name} must take the document and its options "
                f"({', '.join(every) or 'none'}) as keywords: {error}"
            )


def _fits(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
