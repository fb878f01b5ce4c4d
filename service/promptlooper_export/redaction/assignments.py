"""Secrets that a name leads to in a text: assignments, headers, pairs, references."""

import re
from collections.abc import Iterator

from promptlooper_export.deadline import check_deadline, in_time
from promptlooper_export.redaction.names import Strength, strength
from promptlooper_export.redaction.values import (
    REDACTED,
    hide,
    is_code,
    is_plain,
    is_random,
    is_reference,
    stays,
    without_defaults,
)

# Texts are looked at one by one or joined by this character, which nothing crosses.
SEPARATOR = "\x1e"

# Every name is read once: a run of its characters is never entered in its middle.
_ASSIGNMENT = re.compile(
    r"""(?<![\w.$-]) ([\w.$-]++) (\\*+["'`]?[\])]{0,3}) [ \t]*+
    (?: :[ \t]*+&?(?:str|string|text|any|bytes|secretstr|optional\[\w{1,20}\])
    (?:[ ]?\|[ ]?(?:none|null|undefined))?[ \t]*+(?==[^=]) )?
    (:=|=>|===?|!==?|::=|=|:|,|\|\||\?\?|or\b|>|\bis\b|\bto\b) [ \t]*+""",
    re.VERBOSE | re.IGNORECASE,
)
_QUOTE = re.compile(r"(?:[fbruFBRU]{1,2}(?=[\"']))?(\\{0,63}[\"'`])")
_UNQUOTED = re.compile(r"[^\s\"'`;,&<>(){}\[\]\\]++")
_UNSPACED = re.compile(r"[^\s\"'`\\]++")
_OF_LIST = re.compile(r"[^\s\"'`\\;]++")  # Password=a,b;Encrypt=true
_OF_CODE = re.compile(r"[^\s\"'`;,&<>{}\\]++")
_LINE = re.compile(r"[^\n\r\x1e]*+")
_ENVIRONMENT = re.compile(r"[A-Z][A-Z0-9_]*")

_PAIR = re.compile(
    r"""(?<![A-Za-z0-9])(?:name|key|header|field|setting|var|variable|k|parameterkey)
    \\{0,63}["']? [^\S\x1e]{0,8} [:=] [^\S\x1e]{0,8} \\{0,63}["']?
    ([\w.-]{1,100}+) \\{0,63}["']? [^\S\x1e]{0,8} [,;]? [^\S\x1e]{0,40}
    \\{0,63}["']? (?:value|val|v|content|default|parametervalue)
    \\{0,63}["']? [^\S\x1e]{0,8} [:=] [ \t]*+""",
    re.VERBOSE | re.IGNORECASE,
)
# variable "db_password" { default = "..." }, of Terraform.
_BLOCK = re.compile(
    r"""(?<!\w)variable [ \t]{1,8} "([\w-]{1,100})" [ \t]{0,8} \{ [^{}\x1e]{0,400}?
    \bdefault [ \t]{0,8} = [ \t]{0,8}""",
    re.VERBOSE,
)
_BEARER = re.compile(
    r"(\bbearer\s++)((?=[^\s0-9]{0,200}+[0-9])[^\s\"'`&;,<>(){}\[\]\\]{16,}+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"""(basic|bearer|digest|negotiate|ntlm|kerberos|token|api-?key|key|oauth|hawk|mac|bot
    |aws4-hmac-sha256|aws4-ecdsa-p256-sha256|aws|shared-?key(?:lite)?|ssws|googlelogin
    |splunk|private-?token|signature|hmac[\w-]{0,20}|scram[\w-]{0,20}|dpop|klaviyo[\w-]{0,20}
    |[a-z][\w-]{1,30})([ \t]++)(?=\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_KNOWN_SCHEMES = re.compile(
    r"(?:basic|bearer|digest|negotiate|ntlm|kerberos|token|api-?key|key|oauth|hawk|mac|bot"
    r"|aws.*|shared.*|ssws|googlelogin|splunk|private.*|signature|hmac.*|scram.*|dpop"
    r"|klaviyo.*)",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[\w-]{1,40}=")
_WORD_OF_HEADER = re.compile(r"[^\s\"'`\\]++")
_NO_SPACE_BEFORE = 12

_WINDOW = 512
"""The first characters of a value tell whether it is a secret.

Reading all of each value would take quadratic time if values hold one another.
"""

_PASSWORDS = ("password", "passwd", "pwd", "pass", "passphrase", "passwort", "pw")
_OF_HEADERS = ("authorization", "cookie", "cookies")
_SHORTEST_WORD = 6
_SHORTEST_KEY = 8

Span = tuple[int, int, str]


def redact_assignments(text: str) -> str:
    """Return a text without the values that names of secrets lead to."""
    text = without_defaults(text)
    text = _replace(text, _pairs(text, _PAIR))
    text = _replace(text, _pairs(text, _BLOCK))
    text = _replace(text, _assignments(text))
    return _BEARER.sub(_of_bearer, text)


def _of_bearer(match: re.Match[str]) -> str:
    check_deadline()
    return match[0] if is_reference(match[2]) else match[1] + REDACTED


def _replace(text: str, spans: Iterator[Span]) -> str:
    parts, end = [], 0
    for start, stop, clean in spans:
        parts += [text[end:start], clean]
        end = stop
    return "".join((*parts, text[end:])) if parts else text


def _pairs(text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    end = 0
    quotes = _Quotes(text)
    for match in in_time(pattern.finditer(text)):
        sure = strength(match[1])
        if match.start() < end or sure == "none":
            continue
        start, stop, is_quoted = _value(text, match.end(), quotes, _UNSPACED)
        value = text[start : min(stop, start + _WINDOW)]
        clean = hide(value, sure, match[1])
        if clean != value and (is_quoted or len(value) >= _SHORTEST_WORD):
            span = _span(text, start, stop, clean, None if is_quoted else _UNSPACED)
            end = span[1]
            yield span


class _Quotes:
    """Where quoted texts end, looked up once for each kind of quote and place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next: dict[str, tuple[int, int]] = {}

    def end(self, quote: str, start: int) -> int:
        """Return where a text ends that begins after an opening quote, or -1.

        `quote` has the backslashes of the JSON texts around it; a quote with more is
        within the text, and one in another line ends nothing.
        """
        known = self._next.get(quote)
        if known is None or start < known[0] or 0 <= known[1] < start:
            known = self._next[quote] = (start, self._search(quote, start))
        found = known[1]
        return found if found <= self.line_end(start) else -1

    def _search(self, quote: str, start: int) -> int:
        place = self._text.find(quote, start)
        while place > start and self._text[place - 1] == "\\":
            place = self._text.find(quote, place + 1)
        return place

    def line_end(self, start: int) -> int:
        """Return where the line of a place ends."""
        low, found = self._next.get("\n", (0, -1))
        if not low <= start <= found:
            found = len(self._text)
            line = _LINE.match(self._text, start)
            found = line.end() if line else found
            self._next["\n"] = (start, found)
        return found


def _value(
    text: str, start: int, quotes: _Quotes, unquoted: re.Pattern[str]
) -> tuple[int, int, bool]:
    """Return where a value begins and ends, and whether it is in quotes.

    A long value without quotes is cut: see `_WINDOW`.
    """
    if opening := _QUOTE.match(text, start):
        end = quotes.end(opening[1], opening.end())
        if end >= 0:
            return opening.end(), end, True
        start = opening.end()
    found = unquoted.match(text, start, start + _WINDOW)
    return start, found.end() if found else start, False


def _span(
    text: str, start: int, end: int, clean: str, rest: re.Pattern[str] | None
) -> Span:
    """Return what to replace: of a value that was cut, all of it."""
    if rest is not None and end - start >= _WINDOW and (more := rest.match(text, end)):
        return start, more.end(), REDACTED
    return start, end, clean


def _assignments(text: str) -> Iterator[Span]:
    end = 0
    quotes = _Quotes(text)
    for match in in_time(_ASSIGNMENT.finditer(text)):
        name = match[1]
        sure = strength(name)
        if sure == "none":
            if name[-4:].lower() not in ("keys", "key", "code"):
                continue
            sure, name = _with_word_before(text, match)
        if match.start() < end or sure == "none":
            continue
        span = _assigned(text, match, name, sure, quotes)
        if span is not None:
            end = span[1]
            yield span


def _with_word_before(text: str, match: re.Match[str]) -> tuple[Strength, str]:
    """Judge `api key` and `access key` in prose as one name."""
    before = text[max(0, match.start() - _NO_SPACE_BEFORE) : match.start()]
    words = before.split()
    if not before.endswith(" ") or not words:
        return "none", match[1]
    name = f"{words[-1]}_{match[1]}"
    return strength(name), name


def _assigned(
    text: str, match: re.Match[str], name: str, sure: Strength, quotes: _Quotes
) -> Span | None:
    """Return what to replace after one name, if it is a secret."""
    sign, closer = match[3], match[2]
    last = name.rsplit("-", 1)[-1].rsplit(".", 1)[-1].lower()
    before = text[match.start() - 1 : match.start()]
    if sign in (":", "=") and last.endswith(_OF_HEADERS):
        return _header(text, match, last, before, quotes)
    if sign == ">":
        return _of_element(text, match, name, sure, before)
    unquoted = _unquoted(text, match, before)
    start, end, is_quoted = _value(text, match.end(), quotes, unquoted)
    if not is_quoted:
        while end > start and text[end - 1] in ".,;:!?)" and sign in ("is", "to", ":"):
            end -= 1
    value = text[start : min(end, start + _WINDOW)]
    if is_quoted:
        is_secret = _is_quoted_secret(sign, closer, value, last)
    else:
        is_secret = _is_unquoted_secret(text, match, value, sure, last, end)
    if not is_secret:
        return None
    clean = hide(value, sure, name)
    if clean == value:
        return None
    return _span(text, start, end, clean, None if is_quoted else unquoted)


def _unquoted(text: str, match: re.Match[str], before: str) -> re.Pattern[str]:
    if before in ("?", "&") or text[match.start() - 4 : match.start()] == "amp;":
        return _UNQUOTED
    if match[3] == "=" and _ENVIRONMENT.fullmatch(match[1]) and not match[2]:
        return _UNSPACED
    if before == ";" or text[match.start() - 2 : match.start()] == "; ":
        return _OF_LIST
    if match[3] == ":" and not match[2] and _begins_line(text, match.start()):
        return _UNSPACED
    return _UNQUOTED if match[3] != "=" or match[2] else _OF_CODE


def _begins_line(text: str, start: int) -> bool:
    before = text[max(0, start - _INDENT) : start]
    line = re.split(r"[\n\r\x1e]", before)[-1]
    return not line.strip(" \t-?>*|\"'") and (line != before or start < _INDENT)


def _is_quoted_secret(sign: str, closer: str, value: str, last: str) -> bool:
    has_digit = any(map(str.isdigit, value))
    if sign == ",":  # the arguments of a call, or a list of names
        return (
            bool(closer)
            and strength(value) == "none"
            and (has_digit or not is_plain(value))
        )
    if sign in ("is", "to", "or", "||", "??", "==", "===", "!=", "!==", "::="):
        return has_digit or not is_plain(value)
    return last not in ("token", "tokens", "auth") or not is_plain(value)


def _is_unquoted_secret(
    text: str, match: re.Match[str], value: str, sure: Strength, last: str, end: int
) -> bool:
    sign, name = match[3], match[1]
    signs = ("=", ":") if match[2] else ("=", ":", ":=", "=>", "is", "to")
    if sign not in signs or is_code(value):
        return False
    if sure == "weak":
        return True
    is_mixed = any(map(str.isdigit, value)) and any(map(str.islower, value))
    if sign == "=" and _ENVIRONMENT.fullmatch(name) and not match[2]:
        return len(value) >= _SHORTEST_WORD and not _is_variable(value)
    if is_mixed or (len(value) >= _LONG and is_random(value)):
        shortest = _SHORTEST_WORD if last.endswith(_PASSWORDS) else _SHORTEST_KEY
        return len(value) >= shortest
    is_line = _ends_line(text, end) and _begins_line(text, match.start())
    if last.endswith(_PASSWORDS):
        is_setting = sign == "=" or (sign == ":" and is_line and name.islower())
        return is_setting and len(value) >= _SHORTEST_WORD
    # In prose, a plain word follows the colon.
    is_word = is_plain(value) or value.isidentifier()
    is_setting = sign not in ("is", "to") and is_line
    return is_setting and len(value) >= _SHORTEST_KEY and not is_word


_LONG = 20
_INDENT = 80


def _is_variable(value: str) -> bool:
    return _ENVIRONMENT.fullmatch(value) is not None and "_" in value


def _ends_line(text: str, end: int) -> bool:
    rest = text[end : end + 40].lstrip(" \t")
    return not rest or rest[0] in "\r\n\x1e\\" or rest.startswith("#")


def _of_element(
    text: str, match: re.Match[str], name: str, sure: Strength, before: str
) -> Span | None:
    """Return what to replace in `<password>secret</password>`."""
    if before != "<" or sure != "strong":
        return None
    end = text.find("</", match.end(), match.end() + 4096)
    value = text[match.end() : end]
    if end < 0 or not value.strip() or is_plain(value) or any(map(str.isspace, value)):
        return None
    clean = hide(value, sure, name)
    return None if clean == value else (match.end(), end, clean)


def _header(
    text: str, match: re.Match[str], last: str, before: str, quotes: _Quotes
) -> Span | None:
    """Return what to replace in a field such as Authorization or Cookie."""
    start = match.end()
    opening = _QUOTE.match(text, start)
    if opening and (end := quotes.end(opening[1], opening.end())) >= 0:
        start = opening.end()
    elif before and before in "\"'`" and not match[2]:
        end = quotes.end(before, start)
        end = quotes.line_end(start) if end < 0 else end
    else:
        end = quotes.line_end(start)
    value = text[start : min(end, start + _WINDOW)].rstrip(" \t\\")
    if last.endswith(("cookie", "cookies")):
        if not _FIELD.match(value) or is_reference(value.partition("=")[2]):
            return None
        return start, _without_blanks(text, start, end), REDACTED
    found = credentials(value)
    if found is None:
        return None
    stop = found[1]
    if stop is None:
        return start + found[0], _without_blanks(text, start, end), REDACTED
    word = _WORD_OF_HEADER.match(text, start + found[0], end)
    return start + found[0], word.end() if word else start + stop, REDACTED


def _without_blanks(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] in " \t\\\r":
        end -= 1
    return end


def credentials(value: str) -> tuple[int, int | None] | None:
    """Return where the secret is in the value of an Authorization field.

    The end is None if it is that of the field.
    """
    scheme = _SCHEME.match(value)
    if scheme is None:
        word = value.strip()
        is_word = is_plain(word) or len(word) < _SHORTEST_WORD
        return None if is_word or stays(word, "strong", "authorization") else (0, None)
    start = scheme.end()
    rest = value[start:]
    first = rest.split(maxsplit=1)[0]
    word = first.rstrip("\"',;)}]`")
    if stays(word, "strong", "authorization") or is_reference(rest) or "{" in word[:2]:
        return None
    is_known = _KNOWN_SCHEMES.fullmatch(scheme[1]) is not None
    if is_known and _FIELD.match(rest) and len(rest) > len(word):
        return start, None
    is_last = len(rest.rstrip()) <= len(first)
    is_mixed = any(map(str.isdigit, word)) or not word.replace("-", "").isalpha()
    if is_known:
        is_secret = len(word) >= _SHORTEST_WORD and (is_mixed or is_last)
    else:
        is_secret = len(word) >= _SHORTEST_KEY and is_mixed and is_last
    return (start, start + len(word)) if is_secret else None
