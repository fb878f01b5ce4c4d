"""Secrets among the arguments of commands."""

import re
from collections.abc import Iterator, Sequence

from promptlooper_export.deadline import in_time
from promptlooper_export.redaction.names import names_secret
from promptlooper_export.redaction.values import hide

# Programs and their options that take a password, for those whose name says nothing.
# From the manual page of each, 2026-11.
_SHORT = {
    "az": ("-p",),
    "docker": ("-p",),
    "helm": (),
    "ldapadd": ("-w",),
    "ldapmodify": ("-w",),
    "ldapsearch": ("-w",),
    "mongo": ("-p",),
    "mongodump": ("-p",),
    "mongosh": ("-p",),
    "podman": ("-p",),
    "redis-cli": ("-a",),
    "sqlcmd": ("-P",),
    "sshpass": ("-p",),
    "unzip": ("-P",),
    "zip": ("-P",),
}
# Programs whose -pSECRET has no space in it.
_ATTACHED = frozenset(
    ("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "sshpass", "7z")
)
_WEB_CLIENTS = frozenset(("curl", "wget", "http", "https", "xh", "httpie"))
_RUNNERS = frozenset(("docker", "podman", "nerdctl", "chown", "runuser", "kubectl"))
_LOGINS = frozenset(("-u", "-U", "--user", "--proxy-user", "--basic-auth", "--userpwd"))
_WEB_LOGINS = frozenset(("-a", "--auth"))
_SETTERS = frozenset(("ENV", "ARG", "setx", "setenv"))
_NETRC = frozenset(("machine", "login"))

_WORD = re.compile(r"""(?:[^\s"']|"[^"\n\x1e]*+"|'[^'\n\x1e]*+')++|["']""")
_LINE = re.compile(r"[^\n\x1e]++")
_HINT = re.compile(
    r"(?:^|[\s\"'(])-{1,2}\w|\b(?:ENV|set|setx|setenv|machine)\s", re.MULTILINE
)
_SPLIT = re.compile(r"(-u|-U|--user|--proxy-user)=?(?=[^=:\s]{1,100}:)")

_PLAIN = re.compile(r"[A-Za-z]{1,20}")
_SHORTEST = 8
_QUOTES = "\"'`,;)"


def redact_commands(text: str) -> str:
    """Return a text without the secrets among the arguments of commands in it."""
    if not _HINT.search(text):
        return text
    parts, end = [], 0
    for line in in_time(_LINE.finditer(text)):
        if "-" not in line[0] and not _HINT.search(line[0]):
            continue
        found = [*_WORD.finditer(line[0])]
        words = [word[0] for word in found]
        for place, clean in redacted_arguments(words, in_text=True):
            start = line.start() + found[place].start()
            parts += [text[end:start], clean]
            end = start + len(words[place])
    return "".join((*parts, text[end:])) if parts else text


def redacted_arguments(
    words: Sequence[str], *, in_text: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield the place of each argument with a secret, and what to show of it.

    In a text, a plain word after an option may be prose and is no secret.
    """
    last = -1
    for place, offset, name in _secrets(words):
        word = words[place]
        opening = len(word[offset:]) - len(word[offset:].lstrip("\"'"))
        secret = word[offset + opening :].rstrip(_QUOTES if in_text else "")
        if place <= last or not secret or (in_text and _PLAIN.fullmatch(secret)):
            continue
        clean = hide(secret, "strong", name)
        if clean != secret:
            last = place
            start = offset + opening
            yield place, word[:start] + clean + word[start + len(secret) :]


def _secrets(words: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where there may be a secret: place, offset, and the name of it."""
    program = ""
    netrc = _NETRC.issubset(words)
    for place, word in in_time(enumerate(words)):
        following = words[place + 1] if place + 1 < len(words) else ""
        base = word.rsplit("/", 1)[-1]
        if base in _SHORT or base in _ATTACHED | _WEB_CLIENTS | _RUNNERS:
            program = base
        if _is_setting(word) and _is_mixed(following) and names_secret(word):
            yield place + 1, 0, word
        elif word in _SETTERS and names_secret(following) and place + 2 < len(words):
            yield place + 2, 0, following
        elif netrc and word == "password" and following:
            yield place + 1, 0, word
        elif word.startswith("pass:"):
            yield place, len("pass:"), "password"
        elif word.startswith("-"):
            yield from _of_option(program, place, word, following)


def _of_option(
    program: str, place: int, word: str, following: str
) -> Iterator[tuple[int, int, str]]:
    if word in _LOGINS or (word in _WEB_LOGINS and program in _WEB_CLIENTS):
        colon = following.find(":")
        if _is_login(program, following, colon):
            yield place + 1, colon + 1, "password"
    elif (joined := _SPLIT.match(word)) and joined[1] != word:
        colon = word.find(":")
        if _is_login(program, word[joined.end() :], colon - joined.end()):
            yield place, colon + 1, "password"
    elif word in _SHORT.get(program, ()):
        if following:
            yield place + 1, 0, "password"
    elif program in _ATTACHED and word.startswith("-p") and len(word) > len("-p"):
        yield place, len("-p"), "password"
    elif word in ("-b", "--cookie") and "=" in following:
        yield place + 1, following.find("=") + 1, "cookie"
    elif (
        following
        and not following.startswith("-")
        and "=" not in word
        and names_secret(word.lstrip("-").removeprefix("with-"))
    ):
        yield place + 1, 0, word


def _is_setting(word: str) -> bool:
    """Return whether a word is written as names of settings are, and no prose is."""
    return "_" in word and word.replace("_", "").replace(".", "").isalnum()


def _is_mixed(text: str) -> bool:
    return len(text) >= _SHORTEST and any(map(str.isdigit, text)) and text.isprintable()


def _is_login(program: str, text: str, colon: int) -> bool:
    """Return whether a text is `user:password`, not `user:group` or an address."""
    user, password = text[:colon].strip("\"'"), text[colon + 1 :].strip("\"'")
    return (
        colon > 0
        and program not in _RUNNERS
        and password not in ("", user)
        and not password.isdigit()
        and not password.startswith("//")
    )
