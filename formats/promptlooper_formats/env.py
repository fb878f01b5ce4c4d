"""The best config as a .env file that shells and dotenv readers read alike."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

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
from promptlooper_formats.shell_variables import EVALUATED, has_a_meaning

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_ESCAPED_IN_DOUBLE_QUOTES = re.compile(r'[\\"$`]')
_LATER_ASSIGNMENT = re.compile(r"[\r\n].*=", re.DOTALL)
_NONCHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")

# In arithmetic: a substitution, or the name of a variable that the file may set.
_EVALUABLE = re.compile(r"[$`A-Z_]")

# Linux refuses to start a program with one longer string (MAX_ARG_STRLEN, 32 pages).
_LONGEST = 131_000


@dataclass(frozen=True, kw_only=True)
class _Assignment:
    """A line of the file, and the path in the config that it comes from."""

    key: str
    text: str
    path: Path

    @property
    def needs_escapes(self) -> bool:
        """Tell whether neither kind of quotes holds the text as it is."""
        return bool(_ESCAPED_IN_DOUBLE_QUOTES.search(self.text)) and (
            "'" in self.text or "\\\\" in self.text or self.text.endswith("\\")
        )


_Test = Callable[[_Assignment], object]

# What is refused, and why.
_DANGERS: tuple[tuple[_Test, str], ...] = (
    (
        lambda one: "\0" in one.text,
        "no variable can hold NUL",
    ),
    (
        lambda one: one.key in EVALUATED and _EVALUABLE.search(one.text),
        "shells evaluate what this variable is set to, and may run commands in it",
    ),
    (
        lambda one: one.needs_escapes and _LATER_ASSIGNMENT.search(one.text),
        "some readers would take a later line of this value for another assignment",
    ),
)

# What some readers do not read back as it is: code, test, message.
_CAUTIONS: tuple[tuple[str, _Test, str], ...] = (
    (
        "key-with-a-meaning",
        lambda one: has_a_meaning(one.key),
        (
            "A variable of this name means something to shells or programs: it may "
            "take effect, be refused, or end the reading of the file."
        ),
    ),
    (
        "reader-dependent",
        lambda one: one.needs_escapes,
        (
            "Only shells and systemd undo every backslash of this value; python-dotenv "
            "and Docker Compose undo some; Node.js may lose the next variable as well."
        ),
    ),
    (
        "expansion",
        lambda one: "$" in one.text,
        (
            "Readers that expand variables may change this value: python-dotenv at ${ "
            "unless interpolate=False, dotenv-expand and bun at any $."
        ),
    ),
    (
        "carriage-return",
        lambda one: "\r" in one.text,
        "Only shells, systemd and Docker Compose keep CR.",
    ),
    (
        "noncharacter",
        lambda one: _NONCHARACTER.search(one.text),
        "systemd refuses a file with this character.",
    ),
    (
        "too-long-to-export",
        lambda one: len(one.text.encode()) > _LONGEST,
        "No program can be started with so long a variable.",
    ),
)


def render(best: Best) -> Iterator[bytes | Notice]:
    """Yield the header and an assignment for each leaf of the config, by key.

    Refused are NUL, lone surrogates, two paths with one key, and what some reader would
    run or take for further assignments.
    """
    refuse_surrogates(best.config, ".env")
    assignments = _assignments(best.config)
    _refuse_dangers(assignments)
    lines = list(header(best))
    for assignment in assignments:
        for notice in _notices(assignment):
            yield notice
            lines.append(warning(notice))
        lines.append(f"{assignment.key}={_quoted(assignment)}")
    yield "".join(f"{line}\n" for line in lines).encode()


def _assignments(config: Mapping[str, JSON]) -> list[_Assignment]:
    groups: dict[str, list[_Assignment]] = {}
    for path, value in flatten(config):
        one = _Assignment(key=_key(path), text=_text(value), path=path)
        groups.setdefault(one.key, []).append(one)
    collisions = {
        key: tuple(str(one.path) for one in group)
        for key, group in sorted(groups.items())
        if len(group) > 1
    }
    if collisions:
        found = "; ".join(
            f"{' and '.join(p)} become {k}" for k, p in collisions.items()
        )
        detail = f"Several paths share one variable: {found}. Choose format=json."
        raise UnrepresentableError(detail, paths=tuple(chain(*collisions.values())))
    return [groups[key][0] for key in sorted(groups)]


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


def _refuse_dangers(assignments: list[_Assignment]) -> None:
    for is_found, reason in _DANGERS:
        paths = tuple(str(one.path) for one in assignments if is_found(one))
        if paths:
            detail = f"{', '.join(paths)}: {reason}; choose format=json."
            raise UnrepresentableError(detail, paths=paths)


def _notices(assignment: _Assignment) -> Iterator[Notice]:
    for code, is_found, message in _CAUTIONS:
        if is_found(assignment):
            yield Notice(code=code, message=message, path=str(assignment.path))


def _quoted(assignment: _Assignment) -> str:
    """Quote a value so that most readers get it back; the first form that fits."""
    text = assignment.text
    if _PLAIN.fullmatch(text):
        return text
    if not _ESCAPED_IN_DOUBLE_QUOTES.search(text):
        return f'"{text}"'
    if not assignment.needs_escapes:
        return f"'{text}'"
    escaped = _ESCAPED_IN_DOUBLE_QUOTES.sub(r"\\\g<0>", text)
    return f'"{escaped}"'


ENV = Format(
    name="env",
    title=".env",
    document=Best,
    media_types=("text/plain", "application/x-dotenv"),
    extension="env",
    render=render,
)
