"""Read a .env file as the readers of its dialect do, also one that people edited."""

import re
from collections.abc import Iterator, Mapping

_BLANK = re.compile(r"[ \t\r\f\v]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_COMMENT = re.compile(r"[ \t]#.*")

_RAW = re.compile(r"(?!)")
_SHELL_ESCAPE = re.compile(r'\\([\\"$`])')
_QUOTES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "portable": {'"': _SHELL_ESCAPE, "'": _RAW},
    "posix": {'"': _SHELL_ESCAPE, "'": _RAW},
    "python": {'"': re.compile(r"\\([\\\"'abfnrtv])"), "'": re.compile(r"\\([\\'])")},
    "node": {'"': _RAW, "'": _RAW, "`": _RAW},
    "compose": {'"': re.compile(r"\\([abfnrtv$\"\\])"), "'": re.compile(r"\\(')")},
}
"""For each dialect its quotes, and the escapes that are undone within them."""

_CONTROLS = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip


def read_variables(data: bytes, dialect: str) -> Mapping[str, str]:
    """Return each variable with its text; of two of one name, the last counts.

    Raises ValueError naming the line that is no assignment or does not end.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"line {line}: not UTF-8"
        raise ValueError(msg) from None
    text = text.removeprefix("\ufeff")
    return dict(_docker(text) if dialect == "docker" else _quoted(text, dialect))


def _docker(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        variable = line.lstrip(" \t")
        if variable and not variable.startswith("#"):
            name, equals, value = variable.partition("=")
            if not equals or not _NAME.fullmatch(f"{name}="):
                msg = f"line {number}: no assignment"
                raise ValueError(msg)
            yield name, value


def _quoted(text: str, dialect: str) -> Iterator[tuple[str, str]]:
    quotes = _QUOTES[dialect]
    place = 0
    while place < len(text):
        if blank := _BLANK.match(text, place):
            place = blank.end()
            continue
        line = text.count("\n", 0, place) + 1
        name = _NAME.match(text, place)
        if name is None:
            msg = f"line {line}: no assignment"
            raise ValueError(msg)
        quote = text[name.end() : name.end() + 1]
        if quote not in quotes:
            bare = text[name.end() :].partition("\n")[0]
            yield name[1], _COMMENT.sub("", bare, count=1).rstrip()
            place = name.end() + len(bare)
            continue
        value, place = _closed(text, name.end() + 1, quote, quotes[quote], line)
        rest = _BLANK.match(text, place)
        if rest is None:
            msg = f"line {line}: text after the closing quote of {name[1]}"
            raise ValueError(msg)
        yield name[1], value
        place = rest.end()


def _closed(
    text: str, start: int, quote: str, escape: re.Pattern[str], line: int
) -> tuple[str, int]:
    """Return the text up to the closing quote, and the place behind it."""
    value: list[str] = []
    special = re.compile(rf"[\\{quote}]")
    place = start
    while found := special.search(text, place):
        value.append(text[place : found.start()])
        if found[0] == quote:
            return "".join(value), found.end()
        if undone := escape.match(text, found.start()):
            value.append(_CONTROLS.get(undone[1], undone[1]))
            place = undone.end()
        else:
            value.append("\\")
            place = found.end()
    msg = f"line {line}: the quote is not closed"
    raise ValueError(msg)
