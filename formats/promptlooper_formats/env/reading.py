"""Read .env files as the readers of each dialect do, by grammars measured with each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, kw_only=True)
class Quotes:
    """What a kind of quotes may contain.

    `escape` is undone. `unclear` is undone by only some of the readers. `expanded` are
    the characters that begin an expansion.
    """

    escape: re.Pattern[str] = _NEVER
    unclear: re.Pattern[str] = _NEVER
    expanded: str = ""


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """How the text of a variable is read.

    Without quotes, it ends at a `comment` and is stripped of `space` (None: all white
    space); text with something `unclear` is read differently by different readers.
    `rest` is what may follow a closing quote.
    """

    quotes: Mapping[str, Quotes]
    comment: re.Pattern[str]
    space: str | None
    unclear: re.Pattern[str]
    rest: re.Pattern[str]


_RAW = Quotes()
_AFTER_SPACE = re.compile(r"(?:(?<=[ \t])|[ \t])#")
# To shells, a # right after the quote does not begin a comment.
_REST = re.compile(r"[ \t\r]*(?:(?<=[ \t])#[^\n]*)?(?:\n|\Z)")
_REST_OF_SHELLS = re.compile(r"[ \t]*(?:(?<=[ \t])#[^\n]*)?(?:\n|\Z)")

GRAMMARS = {
    "portable": Grammar(
        quotes={'"': Quotes(escape=re.compile(r'\\([\\"$`])')), "'": _RAW},
        comment=_AFTER_SPACE,
        space=" \t\r",
        unclear=_NEVER,
        rest=_REST,
    ),
    "posix": Grammar(
        quotes={
            '"': Quotes(escape=re.compile(r'\\([\\"$`\n])'), expanded="$`"),
            "'": _RAW,
        },
        comment=_AFTER_SPACE,
        space=" \t",
        unclear=re.compile(r"""[\s\\$`'"|&;<>()~]"""),
        rest=_REST_OF_SHELLS,
    ),
    "python": Grammar(
        quotes={
            '"': Quotes(escape=re.compile(r"\\([\\\"'abfnrtv])")),
            "'": Quotes(escape=re.compile(r"\\([\\'])")),
        },
        comment=_AFTER_SPACE,
        space=None,
        unclear=_NEVER,
        rest=_REST,
    ),
    "node": Grammar(
        quotes={
            # npm's dotenv undoes \r, Node.js does not.
            '"': Quotes(escape=re.compile(r"\\(n)"), unclear=re.compile(r"\\r")),
            "'": _RAW,
            "`": _RAW,
        },
        # Even within a word: A=b#c is b.
        comment=re.compile("#"),
        space=" \t\r",
        unclear=_NEVER,
        rest=_REST,
    ),
    "compose": Grammar(
        quotes={
            '"': Quotes(escape=re.compile(r"\\([abfnrtv$\"\\])"), expanded="$"),
            "'": Quotes(escape=re.compile(r"\\(')")),
        },
        # After a tab, # is part of the text.
        comment=re.compile(" #"),
        space=None,
        unclear=re.compile(r"\$"),
        rest=_REST,
    ),
}
"""By dialect; docker run has none, since it reads no quotes."""


_EMPTY_LINE = re.compile(r"[ \t\r\f\v]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")

_CONTROLS = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\n": "",
}  # fmt: skip


def read_variables(data: bytes, dialect: str) -> Mapping[str, str]:
    """Return each variable with its text; of two of one name, the last counts.

    Raises ValueError naming a line that is not an assignment, does not end, or that the
    readers of the dialect would expand, split or read differently.
    """
    text = decoded(data).removeprefix("\ufeff")
    grammar = GRAMMARS.get(dialect)
    return dict(_lines(text) if grammar is None else _quoted(text, grammar))


def decoded(data: bytes) -> str:
    """Return the text of a file; raise ValueError naming the line that is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"line {line}: not UTF-8"
        raise ValueError(msg) from None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of a file without quotes, as docker run takes them."""
    for number, line in enumerate(text.split("\n"), start=1):
        # Go's bufio.ScanLines drops CR before LF.
        # docker drops white space before the name and keeps all of it after the =.
        variable = line.lstrip(" \t").removesuffix("\r")
        if variable and not variable.startswith("#"):
            name, equals, value = variable.partition("=")
            if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
                msg = f"line {number}: no assignment"
                raise ValueError(msg)
            yield name, value


def _quoted(text: str, grammar: Grammar) -> Iterator[tuple[str, str]]:
    place = counted = 0
    line = 1
    while place < len(text):
        if empty := _EMPTY_LINE.match(text, place):
            place = empty.end()
            continue
        # Only the lines since the last variable: a file may have many of both.
        line += text.count("\n", counted, place)
        counted = place
        name = _NAME.match(text, place)
        if name is None:
            msg = f"line {line}: no assignment"
            raise ValueError(msg)
        quotes = grammar.quotes.get(text[name.end() : name.end() + 1])
        if quotes is None:
            value, place = _bare(text, name.end(), grammar)
            if grammar.unclear.search(value):
                msg = f"line {line}: put the text of {name[1]} in quotes"
                raise ValueError(msg)
        else:
            value, place = _closed(text, name.end(), quotes, line)
            rest = grammar.rest.match(text, place)
            if rest is None:
                msg = f"line {line}: text after the closing quote of {name[1]}"
                raise ValueError(msg)
            place = rest.end()
        yield name[1], value


def _bare(text: str, start: int, grammar: Grammar) -> tuple[str, int]:
    """Return the text up to the end of its line or a comment, and the line's end."""
    line_end = text.find("\n", start)
    stop = len(text) if line_end < 0 else line_end
    comment = grammar.comment.search(text, start, stop)
    end = comment.start() if comment else stop
    return text[start:end].strip(grammar.space), stop


def _closed(text: str, start: int, quotes: Quotes, line: int) -> tuple[str, int]:
    """Return the text up to the closing quote, and the place after it."""
    quote = text[start]
    value: list[str] = []
    special = re.compile(rf"[\\{quote}{quotes.expanded}]")
    place = start + 1
    while found := special.search(text, place):
        value.append(text[place : found.start()])
        if found[0] == quote:
            return "".join(value), found.end()
        if found[0] != "\\":
            msg = f"line {line}: {found[0]} is expanded here; put a backslash before it"
            raise ValueError(msg)
        if undone := quotes.escape.match(text, found.start()):
            value.append(_CONTROLS.get(undone[1], undone[1]))
            place = undone.end()
        elif quotes.unclear.match(text, found.start()):
            msg = f"line {line}: readers differ on {text[found.start() :][:2]!r}"
            raise ValueError(msg)
        else:
            value.append("\\")
            place = found.end()
    msg = f"line {line}: the quote is not closed"
    raise ValueError(msg)
