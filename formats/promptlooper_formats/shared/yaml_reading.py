"""Read YAML that holds what JSON can say, whoever wrote it.

Plain scalars follow the core schema of YAML 1.2 (10.3.2): `NO`, `on`, `yes` and `12:30`
are text, `1e-05`, `0o17` and `0x1F` are numbers, and `017` is seventeen. In a file that
begins with `%YAML 1.1` they follow YAML 1.1, where `NO` is false and `017` is fifteen.
Our own files quote every text that the two versions read differently, and no writer
spells true as `yes`: so a plain `NO` was written by a tool of 1.2 that meant text.

Dates are text in both. A plain `<<` merges the mappings that it names, and `=` is text,
since people's tools do the same in either version.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from yaml.resolver import Resolver

from promptlooper_export.plugin import JSON

try:
    from yaml import CSafeLoader as Parser
except ImportError:  # PyYAML without libyaml is right as well, and 7 times slower
    from yaml import SafeLoader as Parser  # type: ignore[assignment]

_DEEPEST = 500
"""Levels of nesting; Python's own recursion ends at 1,000 calls."""

_MOST_REPEATED = 100_000
"""How much aliases may add: values, plus one for each 100 characters."""

_LONGEST_NUMBER = 4_300
"""Characters; as decimal digits, Python reads no more: sys.int_info."""

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _whole(base: int) -> Callable[[str], JSON]:
    return lambda text: int(text, base)


# https://yaml.org/spec/1.2.2/#1032-tag-resolution
_CORE: tuple[tuple[str, re.Pattern[str], Callable[[str], JSON]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|"), lambda _: None),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), lambda t: t[0] in "tT"),
    ("int", re.compile(r"[-+]?[0-9]+"), _whole(10)),
    ("int", re.compile(r"0o[0-7]+"), _whole(8)),
    ("int", re.compile(r"0x[0-9a-fA-F]+"), _whole(16)),
    ("float", _FLOAT, float),
    ("float", _NOT_FINITE, lambda text: float(text.lower().replace(".", ""))),
)


def read_yaml(data: bytes) -> dict[str, JSON]:
    """Return the mapping that a file holds.

    Raises ValueError, saying where, unless the file is YAML, a mapping and JSON values.
    """
    documents = read_documents(data)
    if len(documents) > 1:
        msg = f"the file holds {len(documents)} documents; keep only one of them"
        raise ValueError(msg)
    value = documents[0] if documents else None
    if not isinstance(value, dict):
        msg = "the file holds no mapping"
        raise ValueError(msg)
    return value


def read_documents(data: bytes) -> list[JSON]:
    """Return every document of a file that is not empty.

    Raises ValueError, saying where, for anything that is not YAML or not JSON values,
    for nesting beyond 500 levels, and if aliases repeat more than they should.
    """
    found: list[JSON] = []
    composer = _Composer()
    for event in _events(data):
        if isinstance(event, DocumentStartEvent):
            composer = _Composer(is_old=event.version == (1, 1))
        composer.take(event)
        if composer.documents:
            found.append(composer.documents.pop())
    return [value for value in found if value is not None]


def _events(data: bytes) -> Iterator[Event]:
    try:
        yield from yaml.parse(data, Loader=Parser)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


@dataclass(kw_only=True)
class _Open:
    """A collection whose end has not been reached."""

    value: dict[str, JSON] | list[JSON]
    anchor: str | None
    size: int = 1
    key: str | None = None
    merges: bool = False
    """Whether the key is a plain `<<`."""
    merged: list[dict[str, JSON]] = field(default_factory=list)


@dataclass(kw_only=True)
class _Anchored:
    """What an alias stands for; nothing yet, as long as its own end is not reached."""

    value: JSON = None
    size: int = 0


@dataclass(kw_only=True)
class _Composer:
    """Builds the value of one document without recursion."""

    is_old: bool = False
    documents: list[JSON] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _anchors: dict[str, _Anchored] = field(default_factory=dict)
    _repeated: int = 0

    def take(self, event: Event) -> None:
        """Take the next event. Raises ValueError, saying where."""
        where = f"line {event.start_mark.line + 1}" if event.start_mark else "nowhere"
        if isinstance(event, CollectionStartEvent):
            self._begin(event, where)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            done = self._open.pop()
            if isinstance(done.value, dict):
                done.value = _merged(done.value, done.merged)
            self._add(done.value, done.size, done.anchor, where)
        elif isinstance(event, AliasEvent):
            self._repeat(event.anchor, where)
        elif isinstance(event, ScalarEvent):
            is_key = self._awaits_key()
            if is_key and event.value == "<<" and event.implicit[0]:
                self._open[-1].key, self._open[-1].merges = "<<", True
                return
            value = _scalar(event, where, is_old=self.is_old)
            size = 1 + len(event.value) // 100
            self._add(value, size, event.anchor, where)

    def _awaits_key(self) -> bool:
        top = self._open[-1] if self._open else None
        return top is not None and isinstance(top.value, dict) and top.key is None

    def _begin(self, event: CollectionStartEvent, where: str) -> None:
        is_mapping = isinstance(event, MappingStartEvent)
        if self._awaits_key():
            msg = f"{where}: a key is not text"
            raise ValueError(msg)
        if event.tag not in (None, "!", _TAG + ("map" if is_mapping else "seq")):
            msg = f"{where}: {event.tag} is not a value of JSON"
            raise ValueError(msg)
        if len(self._open) == _DEEPEST:
            msg = f"{where}: nested more than {_DEEPEST} levels deep"
            raise ValueError(msg)
        self._open.append(_Open(value={} if is_mapping else [], anchor=event.anchor))
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored()

    def _repeat(self, anchor: str | None, where: str) -> None:
        known = self._anchors.get(str(anchor))
        if known is None or not known.size:
            reason = "names nothing" if known is None else "contains itself"
            msg = f"{where}: the alias *{anchor} {reason}"
            raise ValueError(msg)
        self._repeated += known.size
        if self._repeated > _MOST_REPEATED:
            msg = f"{where}: aliases repeat more than {_MOST_REPEATED} values"
            raise ValueError(msg)
        self._add(known.value, known.size, None, where)

    def _add(self, value: JSON, size: int, anchor: str | None, where: str) -> None:
        """Add a finished value to the collection that it is in."""
        if anchor is not None:
            self._anchors[anchor] = _Anchored(value=value, size=size)
        if not self._open:
            self.documents.append(value)
            return
        top = self._open[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            if not isinstance(value, str):
                msg = f"{where}: the key {value!r} is not text"
                raise ValueError(msg)
            top.key = value
        else:
            _set(top, value, where)


def _set(top: _Open, value: JSON, where: str) -> None:
    """Give the mapping's waiting key its value, or merge the value into it."""
    key, merges = str(top.key), top.merges
    top.key, top.merges = None, False
    sources = value if isinstance(value, list) else [value]
    mappings = [source for source in sources if isinstance(source, dict)]
    if merges and mappings and len(mappings) == len(sources):
        top.merged += mappings
        return
    members = top.value
    if isinstance(members, dict):
        if key in members:
            msg = f"{where}: the key {key!r} is there twice"
            raise ValueError(msg)
        members[key] = value


def _merged(own: dict[str, JSON], merged: list[dict[str, JSON]]) -> dict[str, JSON]:
    """Return a mapping with what it merges; its own keys win, then the first source."""
    if not merged:
        return own
    result: dict[str, JSON] = {}
    for source in reversed(merged):
        result |= source
    return result | own


def _scalar(event: ScalarEvent, where: str, *, is_old: bool) -> JSON:
    """Return the value of a scalar. Raises ValueError for what JSON cannot say."""
    text = event.value
    if event.tag in (None, "!") or event.implicit[0]:
        is_plain = event.implicit[0]
        read = partial(_old, where=where) if is_old else partial(_core, kind=None)
        value = read(text) if is_plain else text
    elif event.tag == f"{_TAG}str":
        return str(text)
    else:
        kind = event.tag.removeprefix(_TAG)
        value = _core(text, kind)
        if isinstance(value, str):
            msg = f"{where}: {event.tag} {text[:40]!r} is not a value of JSON"
            raise ValueError(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{where}: {text[:40]} is not a value of JSON"
        raise ValueError(msg)
    return value


def _core(text: str, kind: str | None) -> JSON:
    """Return what the core schema reads, of this kind only; else the text."""
    for name, pattern, read in _CORE:
        if (kind is None or name == kind) and pattern.fullmatch(text):
            return read(text)
    return text


def _old(text: str, where: str) -> JSON:
    """Return what YAML 1.1 reads; its dates, `=` and `<<` are text.

    Raises ValueError for a number that takes long to read.
    """
    tag: str = Resolver().resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag.removeprefix(_TAG) not in {"null", "bool", "int", "float"}:
        return text
    # To the base 60, 1:00:00 is 3600: PyYAML takes the square of the length in time.
    if len(text) > _LONGEST_NUMBER:
        msg = f"{where}: a number has more than {_LONGEST_NUMBER:,} characters"
        raise ValueError(msg)
    try:
        value: JSON = SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
    except OverflowError:
        return math.inf
    return value
