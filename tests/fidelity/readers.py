"""Real readers, each reading many files in one process."""

import ctypes
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from ruamel.yaml import YAML

from promptlooper_formats import github_output

HERE = Path(__file__).parent
COMPOSE = Path(sys.executable).with_name("docker-compose")

# What shells set again and again.
OWN = {"_", "OLDPWD", "PWD", "SHLVL"}


@dataclass(frozen=True)
class Failure:
    """A file that a reader did not read, and what it said."""

    reason: str


Reading = Callable[[Sequence[Path]], list[object]]
"""Reads each file, and gives what it holds or a Failure."""


def in_python(read: Callable[[Path], object]) -> Reading:
    """Return a reader that is a function."""

    def one(path: Path) -> object:
        try:
            return read(path)
        except Exception as error:  # noqa: BLE001  whatever the reader raises
            return Failure(f"{type(error).__name__}: {error}"[:200])

    return lambda paths: list(map(one, paths))


def shell(*program: str) -> Reading:
    """Return a reader that sources a file and gives what programs then inherit."""

    def read(paths: Sequence[Path]) -> list[object]:
        script = (
            'for file in /dev/null "$@"; do '
            '(set -a; . "$file"; exec /usr/bin/env -0) > "$OUT/${file##*/}.read"; done'
        )
        folder = paths[0].parent
        subprocess.run(
            [*program, "-c", script, "reader", *map(str, paths)],
            env={"LC_ALL": "C.UTF-8", "OUT": str(folder)},
            capture_output=True,
            check=False,
        )
        own = _environment(folder / "null.read")
        return [
            _without(own, _environment(folder / f"{path.name}.read")) for path in paths
        ]

    return read


def _environment(path: Path) -> Mapping[str, str]:
    lines = path.read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def _without(own: Mapping[str, str], found: Mapping[str, str]) -> object:
    """Leave out what the shell sets by itself, but for what the file has changed."""
    if not found:
        return Failure("nothing was read")
    return {
        name: text
        for name, text in found.items()
        if name not in OWN and own.get(name) != text
    }


def systemd(paths: Sequence[Path]) -> list[object]:
    """Read as systemd reads an EnvironmentFile=, by its own function."""
    [library] = Path("/usr/lib").glob("*/systemd/libsystemd-shared-*.so")
    load = ctypes.CDLL(str(library)).load_env_file
    load.restype = ctypes.c_int
    load.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p)),
    )

    def read(path: Path) -> object:
        found = ctypes.POINTER(ctypes.c_char_p)()
        code = load(None, str(path).encode(), ctypes.byref(found))
        if code < 0:
            return Failure(f"error {-code}")
        lines: list[str] = []
        while found and found[len(lines)] is not None:
            lines.append(found[len(lines)].decode())
        return dict(line.split("=", 1) for line in lines)

    return list(map(read, paths))


def compose(*, raw: bool) -> Reading:
    """Return a reader that asks Docker Compose, with a service for each env_file."""

    def resolve(folder: Path, paths: Mapping[str, Path]) -> dict[str, object]:
        services = {
            name: {"image": "none", "env_file": [_env_file(path, raw=raw)]}
            for name, path in paths.items()
        }
        file = folder / "compose.json"
        file.write_text(json.dumps({"services": services}))
        done = subprocess.run(
            [COMPOSE, "-f", str(file), "config", "--format", "json"],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            found = json.loads(done.stdout)["services"]
            return {
                name: _undollared(found[name].get("environment") or {})
                for name in paths
            }
        if len(paths) == 1:
            return dict.fromkeys(paths, Failure(done.stderr.decode()[-200:]))
        # One file that it cannot read hides the others.
        return {
            name: resolve(folder, {name: path})[name] for name, path in paths.items()
        }

    def read(paths: Sequence[Path]) -> list[object]:
        named = {f"s{place}": path for place, path in enumerate(paths)}
        return list(resolve(paths[0].parent, named).values())

    return read


def _env_file(path: Path, *, raw: bool) -> dict[str, str]:
    return {"path": str(path), **({"format": "raw"} if raw else {})}


def _undollared(environment: Mapping[str, str | None]) -> object:
    """Undo what Compose does to a dollar for its own reader."""
    return {
        name: text and text.replace("$$", "$") for name, text in environment.items()
    }


def program(*command: str) -> Reading:
    """Return a reader of another language: its script writes a line for each file."""

    def read(paths: Sequence[Path]) -> list[object]:
        done = subprocess.run(
            [*command, *map(str, paths)], cwd=HERE, capture_output=True, check=True
        )
        return [_told(json.loads(line)) for line in done.stdout.splitlines()]

    return read


def node(name: str) -> Reading:
    """Return a reader of Node.js, by its name in readers.mjs."""
    return program("node", "readers.mjs", name)


def ruby(name: str) -> Reading:
    """Return a reader of Ruby, by its name in readers.rb."""
    return program("ruby", "readers.rb", name)


def _told(line: Mapping[str, Any]) -> object:
    return Failure(line["error"]) if "error" in line else _plain(line["value"])


def _plain(value: object) -> object:
    """Undo the marks of the scripts."""
    if isinstance(value, list):
        return list(map(_plain, value))
    if isinstance(value, dict) and "o" in value:
        return {key: _plain(member) for key, member in value["o"]}
    if isinstance(value, dict):
        text = str(value["$"])
        return -0.0 if text == "-0.0" else int(text) if _is_int(text) else text
    return value


def _is_int(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _ruamel(path: Path) -> object:
    return YAML(typ="safe", pure=True).load(path.read_bytes())


def _toml(path: Path) -> object:
    return tomllib.loads(path.read_bytes().decode())


def _yaml(loader: type[yaml.SafeLoader | yaml.CSafeLoader], path: Path) -> object:
    return yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  safe ones


READERS: Mapping[str, Reading] = {
    "bash": shell("bash"),
    "dash": shell("dash"),
    "busybox sh": shell("busybox", "sh"),
    "zsh": shell("zsh"),
    "systemd": systemd,
    "python-dotenv": in_python(partial(dotenv_values, interpolate=False)),
    "python-dotenv, interpolating": in_python(dotenv_values),
    "npm dotenv": node("dotenv"),
    "node --env-file": node("node --env-file"),
    "Docker Compose": compose(raw=False),
    "Docker Compose, raw": compose(raw=True),
    "GitHub's runner, by its rules": in_python(
        lambda path: github_output.read(path.read_bytes())
    ),
    "PyYAML": in_python(partial(_yaml, yaml.CSafeLoader)),
    "PyYAML, pure": in_python(partial(_yaml, yaml.SafeLoader)),
    "ruamel.yaml": in_python(_ruamel),
    "js-yaml": node("js-yaml"),
    "npm yaml": node("yaml"),
    "Ruby psych": ruby("psych"),
    "tomllib": in_python(_toml),
    "smol-toml": node("smol-toml"),
    "Python json": in_python(lambda path: json.loads(path.read_bytes())),
    "JSON.parse": node("JSON.parse"),
    "Ruby json": ruby("json"),
}
"""By name: every reader takes a list of files."""
