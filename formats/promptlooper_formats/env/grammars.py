"""What the readers of each dialect undo, expand and pass over; measured with each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, kw_only=True)
class Quotes:
    """What stands within a kind of quotes.

    `escape` is undone, before `unclear` a backslash is for some readers an escape and
    for others not, and `expanded` are the characters that begin an expansion.
    """

    escape: re.Pattern[str] = _NEVER
    unclear: re.Pattern[str] = _NEVER
    expanded: str = ""


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """How the text of a variable is read.

    Without quotes it ends at a `comment` and is freed of `space` (of all white space
    where that is None); of what is `unclear` its readers would each make something
    else. After a closing quote stands the `rest`.
    """

    quotes: Mapping[str, Quotes]
    comment: re.Pattern[str]
    space: str | None
    unclear: re.Pattern[str]
    rest: re.Pattern[str]


_RAW = Quotes()
_AFTER_SPACE = re.compile(r"(?:(?<=[ \t])|[ \t])#")
# To shells, a comment right behind the quote is no comment.
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
        comment=re.compile(" #"),
        space=None,
        unclear=re.compile(r"\$"),
        rest=_REST,
    ),
}
"""By dialect; that of docker run knows no quotes."""
