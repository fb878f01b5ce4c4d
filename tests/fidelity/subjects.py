"""Which format is read by which readers, and which warnings speak of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fidelity.verdicts import Leaves, leaves
from formats.configs import Config


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One reader of a format.

    `excuses` are the codes of the warnings that speak of it: of a value, by its path;
    `fatal` of those after which it may not read the file at all. With `doubles` it has
    no integers.
    """

    name: str
    excuses: frozenset[str] = frozenset()
    fatal: frozenset[str] = frozenset()
    doubles: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A format with options, and everybody who reads it."""

    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    readers: tuple[Reader, ...]

    def __str__(self) -> str:
        return " ".join([self.format, *map(str, self.options.values())])


def whole(config: Config) -> Leaves:
    """Return what a reader of the config alone has to read."""
    return dict(leaves(config))


def _reader(name: str, *excuses: str, fatal: str = "", doubles: bool = False) -> Reader:
    return Reader(
        name=name,
        excuses=frozenset(excuses),
        fatal=frozenset(fatal.split()),
        doubles=doubles,
    )


_MEANING = "key-with-a-meaning"
_LONG = "too-long-to-export"

_SHELLS = (
    _reader("bash", _MEANING, _LONG, fatal=_LONG),
    _reader("dash", _MEANING, _LONG, fatal=_LONG),
    _reader("busybox sh", _MEANING, _LONG, fatal=_LONG),
    _reader("zsh", _MEANING, _LONG, fatal=f"{_MEANING} {_LONG}"),
)
_SYSTEMD = _reader("systemd", fatal="noncharacter")
_NODE = (_reader("npm dotenv"), _reader("node --env-file"))
_BY_READER = ("reader-dependent", "carriage-return")

SUBJECTS = (
    Subject(
        format="env",
        readers=(
            *_SHELLS,
            _SYSTEMD,
            _reader("python-dotenv", *_BY_READER),
            _reader("python-dotenv, interpolating", *_BY_READER, "expansion"),
            _reader("npm dotenv", *_BY_READER, fatal="reader-dependent"),
            _reader("node --env-file", *_BY_READER, fatal="reader-dependent"),
            _reader("Docker Compose", "reader-dependent", fatal="reader-dependent"),
        ),
    ),
    Subject(format="env", options={"dialect": "posix"}, readers=(*_SHELLS, _SYSTEMD)),
    Subject(
        format="env",
        options={"dialect": "python"},
        readers=(
            _reader("python-dotenv"),
            _reader("python-dotenv, interpolating", "expansion"),
        ),
    ),
    Subject(format="env", options={"dialect": "node"}, readers=_NODE),
    Subject(
        format="env",
        options={"dialect": "compose"},
        readers=(_reader("Docker Compose"),),
    ),
    Subject(
        format="yaml",
        readers=(
            _reader("PyYAML"),
            _reader("PyYAML, pure"),
            _reader("ruamel.yaml"),
            _reader("js-yaml", "big-integer", doubles=True),
            _reader("npm yaml", "big-integer", doubles=True),
            _reader("Ruby psych"),
        ),
    ),
)
