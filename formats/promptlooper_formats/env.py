"""The best config as a .env file that shells and dotenv readers read alike."""

import json
import re
from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import (
    JSON,
    Best,
    Format,
    Notice,
    Path,
    UnrepresentableError,
    flatten,
)
from promptlooper_formats.header import header, warning
from promptlooper_formats.notices import refuse_surrogates

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_ASSIGNMENT_ON_A_LATER_LINE = re.compile(r"[\r\n].*=", re.DOTALL)
_ESCAPED_IN_DOUBLE_QUOTES = re.compile(r'[\\"$`]')
_NONCHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")

# Linux ends a process's start over one longer string (MAX_ARG_STRLEN, 32 pages).
_LONGEST = 131_000

# Variables that shells refuse or compute, or that change what programs do.
_MEANINGFUL = frozenset(
    """
    BASHOPTS BASH_ENV BASH_VERSINFO DIRSTACK ENV EUID FUNCNAME GROUPS HISTCMD HOME IFS
    LD_LIBRARY_PATH LD_PRELOAD LINENO NODE_OPTIONS PATH PPID PS1 PS4 PYTHONPATH RANDOM
    SECONDS SHELLOPTS UID _
    """.split()  # noqa: SIM905  a list of names is read more easily so
)


def render(best: Best) -> Iterator[bytes | Notice]:
    """Yield the header and an assignment for each leaf of the config, by key.

    Refused are values with NUL or a lone surrogate, two paths with one key, and a value
    that some readers would take for further assignments.
    """
    refuse_surrogates(best.config, ".env")
    values = _assignments(best.config)
    lines = list(header(best))
    for key, (path, value) in sorted(values.items()):
        for notice in _notices(key, path, value):
            yield notice
            lines.append(warning(notice))
        lines.append(f"{key}={_quoted(value, path)}")
    yield "".join(f"{line}\n" for line in lines).encode()


def _assignments(config: Mapping[str, JSON]) -> dict[str, tuple[Path, str]]:
    values: dict[str, tuple[Path, str]] = {}
    for path, value in flatten(config):
        key = _key(path)
        if key in values:
            paths = (str(values[key][0]), str(path))
            detail = f"{' and '.join(paths)} both become {key}; rename one."
            raise UnrepresentableError(detail, paths=paths)
        text = _text(value)
        if "\0" in text:
            detail = f"{path}: no variable can hold NUL; choose format=json."
            raise UnrepresentableError(detail, paths=(str(path),))
        values[key] = path, text
    return values


def _key(path: Path) -> str:
    key = re.sub(r"[^A-Z0-9_]", "_", "_".join(path).upper())
    return f"_{key}" if not key or key[0].isdigit() else key


def _text(value: JSON) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | dict):
        # The same JSON without the two characters that no quotes hold for all readers.
        text = text.replace("\\\\", "\\u005c").replace("'", "\\u0027")
    return text


def _quoted(value: str, path: Path) -> str:
    """Quote a value so that most readers get it back; the first form that fits."""
    if _PLAIN.fullmatch(value):
        return value
    if not _ESCAPED_IN_DOUBLE_QUOTES.search(value):
        return f'"{value}"'
    if _fits_single_quotes(value):
        return f"'{value}'"
    if _ASSIGNMENT_ON_A_LATER_LINE.search(value):
        detail = (
            f"{path}: some readers would take a later line of this value for another "
            "assignment; choose format=json or yaml."
        )
        raise UnrepresentableError(detail, paths=(str(path),))
    escaped = _ESCAPED_IN_DOUBLE_QUOTES.sub(r"\\\g<0>", value)
    return f'"{escaped}"'


def _fits_single_quotes(value: str) -> bool:
    return "'" not in value and "\\\\" not in value and not value.endswith("\\")


def _notices(key: str, path: Path, value: str) -> Iterator[Notice]:
    """Name what some reader of .env files would not read back as it is."""

    def notice(code: str, message: str) -> Notice:
        return Notice(code=code, message=message, path=str(path))

    if key in _MEANINGFUL:
        yield notice(
            "key-with-a-meaning", f"{key} has a meaning to shells and programs."
        )
    if _ESCAPED_IN_DOUBLE_QUOTES.search(value) and not _fits_single_quotes(value):
        yield notice(
            "reader-dependent",
            "Only shells and systemd undo every backslash of this value; readers of "
            "Node.js do not, python-dotenv and Docker Compose only undo some.",
        )
    if "$" in value:
        yield notice(
            "expansion",
            "Readers that expand variables may change this value: python-dotenv at ${ "
            "unless interpolate=False, dotenv-expand and bun at any $.",
        )
    if "\r" in value:
        yield notice(
            "carriage-return", "Only shells, systemd and Docker Compose keep CR."
        )
    if _NONCHARACTER.search(value):
        yield notice("noncharacter", "systemd refuses a file with this character.")
    if len(value.encode()) > _LONGEST:
        yield notice(
            "too-long-to-export", "No process can be given so long a variable."
        )


ENV = Format(
    name="env",
    title=".env",
    document=Best,
    media_types=("text/plain", "application/x-dotenv"),
    extension="env",
    render=render,
)
