"""Which format is read by which readers, and which warnings speak of each."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


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
    """A format with options, and everybody who reads it.

    `take` finds the config in what a reader gives; with `variables` it is a name and a
    text for each leaf.
    """

    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: bool = False
    take: Callable[[Any], object] = lambda found: found
    readers: tuple[Reader, ...]

    def __str__(self) -> str:
        return " ".join([self.format, *map(str, self.options.values())])


def _reader(name: str, *excuses: str, fatal: str = "", doubles: bool = False) -> Reader:
    return Reader(
        name=name,
        excuses=frozenset(excuses),
        fatal=frozenset(fatal.split()),
        doubles=doubles,
    )


_MEANING = "key-with-a-meaning"
_LONG = "too-long-to-export"
_NULL = "null-left-out"
_BIG = "big-integer"
_BY_READER = ("reader-dependent", "carriage-return")

_SHELLS = (
    _reader("bash", _MEANING, _LONG, fatal=f"{_MEANING} {_LONG}"),
    _reader("dash", _MEANING, _LONG, fatal=_LONG),
    _reader("busybox sh", _MEANING, _LONG, fatal=_LONG),
    _reader("zsh", _MEANING, _LONG, fatal=f"{_MEANING} {_LONG}"),
)
_SYSTEMD = _reader("systemd", fatal="noncharacter")
_YAML = (
    _reader("PyYAML"),
    _reader("PyYAML, pure"),
    _reader("ruamel.yaml"),
    _reader("js-yaml", _BIG, fatal="nested-deeply", doubles=True),
    _reader("npm yaml", _BIG, doubles=True),
    _reader("Ruby psych"),
)
_TOML = (
    _reader("tomllib", _NULL),
    _reader("smol-toml", _NULL, doubles=True),
)
_JSON = (
    _reader("Python json"),
    _reader("JSON.parse", _BIG, doubles=True),
    _reader("Ruby json", fatal="lone-surrogate"),
)

SUBJECTS = (
    Subject(format="json", take=lambda found: found["config"], readers=_JSON),
    Subject(format="json", options={"only": "config"}, readers=_JSON),
    Subject(
        format="env",
        variables=True,
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
    Subject(
        format="env",
        options={"dialect": "posix"},
        variables=True,
        readers=(*_SHELLS, _SYSTEMD),
    ),
    Subject(
        format="env",
        options={"dialect": "python"},
        variables=True,
        readers=(
            _reader("python-dotenv"),
            _reader("python-dotenv, interpolating", "expansion"),
        ),
    ),
    Subject(
        format="env",
        options={"dialect": "node"},
        variables=True,
        readers=(_reader("npm dotenv"), _reader("node --env-file")),
    ),
    Subject(
        format="env",
        options={"dialect": "docker"},
        variables=True,
        readers=(_reader("Docker Compose, raw"),),
    ),
    Subject(
        format="env",
        options={"dialect": "compose"},
        variables=True,
        readers=(_reader("Docker Compose"),),
    ),
    Subject(format="yaml", take=lambda found: found["config"], readers=_YAML),
    Subject(format="yaml", options={"only": "config"}, readers=_YAML),
    Subject(format="toml", take=lambda found: found["config"], readers=_TOML),
    Subject(format="toml", options={"only": "config"}, readers=_TOML),
    Subject(
        format="configmap",
        variables=True,
        take=lambda found: found["data"],
        readers=_YAML,
    ),
    Subject(
        format="configmap",
        options={"key": "config.json"},
        take=lambda found: json.loads(found["data"]["config.json"]),
        readers=_YAML,
    ),
    Subject(
        format="secret",
        variables=True,
        take=lambda found: {
            name: b64decode(text).decode() for name, text in found["data"].items()
        },
        readers=_YAML,
    ),
    Subject(
        format="tfvars",
        options={"variable": "config"},
        take=lambda found: found["config"],
        readers=(_reader("Python json"), _reader("Ruby json")),
    ),
    Subject(
        format="github-output",
        variables=True,
        readers=(_reader("GitHub's runner, by its rules"),),
    ),
)
