"""How a text is quoted, for readers that undo it in different ways."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_ESCAPED_BY_SHELLS = re.compile(r'[\\"$`]')
_ESCAPED_BY_COMPOSE = re.compile(r'[\\"$\r]')
_ESCAPED_BY_PYTHON = re.compile(r'[\\"\n\r]')
_UNDONE_BY_NODE = re.compile(r"\\[nr]")
_ESCAPES = {"\n": "\\n", "\r": "\\r"}


def needs_escapes(text: str) -> bool:
    """Return whether neither kind of quotes holds the text as it is for all readers."""
    # Within single quotes, python-dotenv undoes two backslashes, and one at the end
    # hides the closing quote.
    return bool(_ESCAPED_BY_SHELLS.search(text)) and (
        "'" in text or "\\\\" in text or text.endswith("\\")
    )


def portable(text: str) -> str:
    """Quote so that most readers get the text back: the first form that fits."""
    if _PLAIN.fullmatch(text):
        return text
    if not _ESCAPED_BY_SHELLS.search(text):
        return f'"{text}"'
    if not needs_escapes(text):
        return f"'{text}'"
    return posix(text)


def posix(text: str) -> str:
    """Quote for POSIX shells (XCU 2.2.3) and systemd, which undo the same escapes."""
    return _escaped(text, _ESCAPED_BY_SHELLS)


def python(text: str) -> str:
    """Quote for python-dotenv, which leaves a dollar alone unless it interpolates."""
    return _escaped(text, _ESCAPED_BY_PYTHON)


def compose(text: str) -> str:
    """Quote for Docker Compose, which leaves backticks alone and drops CR before LF."""
    return _escaped(text, _ESCAPED_BY_COMPOSE)


def node(text: str) -> str | None:
    """Quote for Node.js and npm's dotenv; None if they have no form for it.

    They undo only a backslash with n or r, within double quotes, and accept backticks
    as quotes. A backslash before a closing quote keeps dotenv from seeing it.
    """
    if _PLAIN.fullmatch(text):
        return text
    if "\r" in text:
        return None
    if text.endswith("\\"):
        # In JavaScript, U+FEFF is white space as well.
        is_bare = not re.search(r"[#\n\u2028\u2029]|\A[\s\ufeff'\"`]", text)
        return text if is_bare else None
    # Nothing is undone within these.
    for quote in "'`":
        if quote not in text:
            return f"{quote}{text}{quote}"
    if '"' not in text and not _UNDONE_BY_NODE.search(text):
        return f'"{text}"'
    return None


def docker(text: str) -> str | None:
    """Return the text as it is; docker run has no quotes. None for several lines."""
    return None if re.search(r"[\r\n]", text) else text


def _escaped(text: str, pattern: re.Pattern[str]) -> str:
    if _PLAIN.fullmatch(text):
        return text
    written = pattern.sub(lambda found: _ESCAPES.get(found[0], f"\\{found[0]}"), text)
    return f'"{written}"'
