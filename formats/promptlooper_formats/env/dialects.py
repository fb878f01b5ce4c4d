"""The dialects of .env files: what each cannot hold, and what to warn of.

Measured with each reader; the messages say what a reader does to a text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from promptlooper_formats.env import quoting
from promptlooper_formats.shared.variables import (
    EVALUATED,
    LETTERS_LOST,
    Assignment,
    has_a_meaning,
    loses_letters,
)

# Code points that Unicode keeps for internal use.
_NONCHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")

# In arithmetic: a substitution, or the name of a variable that the file may set.
_EVALUABLE = re.compile(r"[$`A-Z_]")

# Linux refuses to start a program with one longer string (MAX_ARG_STRLEN, 32 pages).
_LONGEST = 131_000

# Docker reads lines with Go's bufio.Scanner, whose buffer is 64 KiB (MaxScanTokenSize).
_LONGEST_LINE = 65_535

_Test = Callable[[Assignment], object]


def _assigns_later(text: str) -> bool:
    """Return whether a line after the first has an equals sign.

    To a reader that sees the closing quote too early, such a line assigns.
    """
    # Not one pattern, which would search the rest of the text from each line again.
    before, _, _ = text.rpartition("=")
    return "\n" in before or "\r" in before


@dataclass(frozen=True, kw_only=True)
class Danger:
    """What is refused, and why."""

    is_found: _Test
    reason: str


@dataclass(frozen=True, kw_only=True)
class Caution:
    """What some readers do not read back as it is."""

    code: str
    is_found: _Test
    message: str


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How to quote a text (None if no form holds it), what to refuse, what to warn of.

    `longest_line` is in bytes, with the line break; comments count as well.
    """

    quote: Callable[[str], str | None]
    dangers: tuple[Danger, ...]
    cautions: tuple[Caution, ...]
    longest_line: int | None = None


_NUL = Danger(is_found=lambda one: "\0" in one.text, reason="no variable can hold NUL")
_EVALUATION = Danger(
    is_found=lambda one: one.key in EVALUATED and _EVALUABLE.search(one.text),
    reason="shells evaluate what this variable is set to, and may run commands in it",
)
_INJECTION = Danger(
    is_found=lambda one: quoting.needs_escapes(one.text) and _assigns_later(one.text),
    reason=(
        "some readers would take a later line of this value for another assignment; "
        "with dialect=posix, python or compose it is written for these alone"
    ),
)
_UNQUOTABLE = Danger(
    is_found=lambda one: quoting.node(one.text) is None,
    reason="Node.js has no quotes that hold this value",
)
_SEVERAL_LINES = Danger(
    is_found=lambda one: quoting.docker(one.text) is None,
    reason="docker run takes a variable of one line only",
)
_LONG_LINE = Danger(
    is_found=lambda one: len(f"{one.key}={one.text}\n".encode()) > _LONGEST_LINE,
    reason="docker run reads lines of 64 KiB at most",
)

_MEANING = Caution(
    code="key-with-a-meaning",
    is_found=lambda one: has_a_meaning(one.key),
    message=(
        "A variable of this name means something to shells or programs: it may "
        "take effect, be refused, or end the reading of the file; prefix=APP_ helps."
    ),
)
_LETTERS = Caution(
    code="lost-letters",
    is_found=lambda one: loses_letters(one.path),
    message=LETTERS_LOST,
)
_READERS_DIFFER = Caution(
    code="reader-dependent",
    is_found=lambda one: quoting.needs_escapes(one.text),
    message=(
        "Only shells and systemd undo every backslash of this value; python-dotenv "
        "and Docker Compose undo some; Node.js may lose the next variable as well."
    ),
)
_EXPANSION = Caution(
    code="expansion",
    is_found=lambda one: "$" in one.text,
    message=(
        "Readers that expand variables may change this value: python-dotenv at ${ "
        "unless interpolate=False, dotenv-expand and bun at any $."
    ),
)
_PYTHON_EXPANSION = Caution(
    code="expansion",
    is_found=lambda one: "${" in one.text,
    message="python-dotenv changes this value unless it is told interpolate=False.",
)
_NODE_EXPANSION = Caution(
    code="expansion",
    is_found=lambda one: "$" in one.text,
    message="dotenv-expand and bun may change this value: they expand variables.",
)
_RETURN = Caution(
    code="carriage-return",
    is_found=lambda one: "\r" in one.text,
    message="Only shells, systemd and Docker Compose keep CR.",
)
_NO_CHARACTER = Caution(
    code="noncharacter",
    is_found=lambda one: _NONCHARACTER.search(one.text),
    message="systemd refuses a file with this character.",
)
_LENGTH = Caution(
    code="too-long-to-export",
    is_found=lambda one: len(one.text.encode()) > _LONGEST,
    message="No program can be started with so long a variable.",
)

DIALECTS = {
    "portable": Dialect(
        quote=quoting.portable,
        dangers=(_NUL, _EVALUATION, _INJECTION),
        cautions=(
            _MEANING, _LETTERS, _READERS_DIFFER, _EXPANSION, _RETURN, _NO_CHARACTER,
            _LENGTH,
        ),
    ),
    "posix": Dialect(
        quote=quoting.posix,
        dangers=(_NUL, _EVALUATION),
        cautions=(_MEANING, _LETTERS, _NO_CHARACTER, _LENGTH),
    ),
    "python": Dialect(
        quote=quoting.python,
        # python-dotenv runs nothing, so no name is dangerous.
        dangers=(_NUL,),
        cautions=(_MEANING, _LETTERS, _PYTHON_EXPANSION, _LENGTH),
    ),
    "node": Dialect(
        quote=quoting.node,
        dangers=(_NUL, _UNQUOTABLE),
        cautions=(_MEANING, _LETTERS, _NODE_EXPANSION, _LENGTH),
    ),
    "docker": Dialect(
        quote=quoting.docker,
        dangers=(_NUL, _SEVERAL_LINES, _LONG_LINE),
        # Lines of at most 64 KiB are never too long to export.
        cautions=(_MEANING, _LETTERS),
        longest_line=_LONGEST_LINE,
    ),
    "compose": Dialect(
        quote=quoting.compose,
        dangers=(_NUL,),
        cautions=(_MEANING, _LETTERS, _LENGTH),
    ),
}  # fmt: skip
"""By the name that the option `dialect` takes, the default first."""
