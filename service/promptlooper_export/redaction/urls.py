"""Secrets in URLs and in what drivers take in place of one."""

import re
from itertools import pairwise

from promptlooper_export.deadline import check_deadline, in_time
from promptlooper_export.redaction.names import strength
from promptlooper_export.redaction.values import (
    REDACTED,
    hide,
    is_code,
    is_long_random,
    is_plain,
    is_reference,
)

# A run without spaces: every such run is looked at once, from its start.
_RUNS = re.compile(r"[^\s\"'`<>\\]++")

# RFC 3986, section 3.2.1, but the password may hold what a URL would end: drivers are
# lenient, and people forget to encode.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}\Z")
_PORT = re.compile(r"[0-9]{1,5}(?=[/?#,]|\Z)")
_HOST = re.compile(r"(?:[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_WEB = frozenset(("http", "https", "ws", "wss", "ftp"))

# user:password@tcp(host:port)/name, of Go's MySQL driver.
_GO = re.compile(r"@(?:tcp6?|udp|unix|cloudsql(?:-\w{1,20})?|[a-z]{2,20}\+tcp)\(")
# user/password@host:port/service, of Oracle.
_ORACLE = re.compile(
    r"(?:jdbc:oracle:\w{1,10}:)?[A-Za-z][\w$#]{0,60}/([^\s/@]++)@"
    r"(//)?([\w.-]{1,253})(:[0-9]{2,5}[:/][\w.$-]{1,60})?(?:[/:]?[\w.$-]{1,60})?"
)
_ORACLE_WORDS = re.compile(
    r"oracle|sqlplus|sqlldr|expdp|impdp|rman|tnsnames|\bscott/|\bsys(?:tem)?/",
    re.IGNORECASE,
)
_AFTER_USER = 16
"""A user of a URL of that many characters, or more, that looks random is a token."""

_PARAMETER = re.compile(
    r"([?&#;]|&amp;|%26|%3F)([\w.\[\]-]{1,60})(=|%3D)([^\s&;\"'<>]++)", re.IGNORECASE
)
# Parameters of signed addresses, and those that only a long random value makes secret.
_SIGNATURES = frozenset(
    (
        "sig",
        "signature",
        "x-amz-signature",
        "x-goog-signature",
        "hmac",
        "x-oss-signature",
    )
)
_MIXED = frozenset(
    ("code", "key", "hash", "st", "x-amz-credential", "x-goog-credential",
     "x-amz-security-token", "ticket", "state")
)  # fmt: skip
_SHORTEST = 6
_SHORTEST_SIGNATURE = 10

# Addresses that are secrets from here on, as the services that issue them say.
_HOOKS = re.compile(
    r"((?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)"
    r"|discord(?:app)?\.com/api(?:/v[0-9]{1,2})?/webhooks"
    r"|[\w-]{0,60}\.?webhook\.office\.com|chat\.googleapis\.com/v1/spaces"
    r"|hooks\.zapier\.com/hooks|api\.telegram\.org/(?:file/)?bot"
    r"|hook\.(?:eu1|eu2|us1|us2|integromat)\.(?:make\.)?com"
    r"|maker\.ifttt\.com/(?:use|trigger/\w{1,60}/with/key))/?)[\w@%:./?=&-]++",
    re.IGNORECASE,
)


def redact_urls(text: str) -> str:
    """Return a text without the secrets in its URLs and connection strings."""
    if "@" in text:
        text = _RUNS.sub(_user_info, text)
    if "=" in text or "%3" in text:
        text = _PARAMETER.sub(_parameter, text)
    if ".com/" in text or ".org/" in text:
        text = _HOOKS.sub(rf"\1{REDACTED}", text)
    if "/" in text and "@" in text:
        text = _oracle(text)
    return text


def _user_info(match: re.Match[str]) -> str:
    check_deadline()
    run = match[0]
    if "@" not in run:
        return run
    if found := _GO.search(run):
        return _of_go(run, found)
    if "://" not in run:
        return run
    pieces = run.split("://")
    clean = [pieces[0]]
    for before, piece in in_time(pairwise(pieces)):
        clean.append(_authority(piece, before))
    return "://".join(clean)


def _of_go(run: str, found: re.Match[str]) -> str:
    start = run.find(":", 0, found.start())
    if start < 0 or run[start : start + 3] == "://":
        return run
    secret = run[start + 1 : found.start()]
    shown = secret if is_reference(secret) else hide(secret, "strong", "password")
    return run[: start + 1] + shown + run[found.start() :]


def _authority(text: str, before: str) -> str:
    """Return what follows `://` without its password, or a token in its place."""
    scheme = _SCHEME.search(before[-31:])
    at = text.rfind("@")
    if at < 0:
        return text
    strict = text.find("@")
    end = min((text.find(end) for end in "/?#" if end in text), default=len(text))
    if strict < end:  # as the RFC has it, though the password may have an @ in it
        at = text.rfind("@", 0, end)
        # Or even more than that: a host has no @ behind it.
        rest = text[at + 1 :]
        is_host = _HOST.fullmatch(rest[: end - at - 1]) is not None
        if ":" in text[:at] and "@" in rest and not (is_host and _is_web(scheme)):
            at += 1 + rest.rfind("@")
    colon = text.find(":", 0, at)
    if strict > end and (
        colon < 0 or colon > end or _is_port(text[colon + 1 :], scheme)
    ):
        return text
    user, mark, secret = text[:at].partition(":")
    if len(user) >= _AFTER_USER and is_long_random(user) and not is_reference(user):
        user = REDACTED
    if secret and not is_reference(secret) and user + secret != REDACTED:
        secret = hide(secret, "strong", "password")
    return f"{user}{mark}{secret}{text[at:]}"


def _is_web(scheme: re.Match[str] | None) -> bool:
    return scheme is None or scheme[0].lower() in _WEB


def _is_port(text: str, scheme: re.Match[str] | None) -> bool:
    """Return whether what follows a colon is a port and not a password."""
    found = _PORT.match(text)
    if found is None:
        return False
    # Databases have no paths with an @ in them, only queries.
    return _is_web(scheme) or "?" in text[: text.rfind("@")]


def _parameter(match: re.Match[str]) -> str:
    check_deadline()
    name, value = match[2], match[4]
    if name.lower() in _SIGNATURES:
        is_secret = len(value) >= _SHORTEST_SIGNATURE and not is_plain(value)
    elif name.lower() in _MIXED:
        is_secret = is_long_random(value.partition("#")[0])
    else:
        sure = strength(name)
        is_secret = (
            sure != "none"
            and len(value) >= _SHORTEST
            and not is_code(value)
            and not (name.lower().endswith("token") and is_plain(value))
            and hide(value, sure, name) == REDACTED
        )
    if not is_secret:
        return match[0]
    return f"{match[1]}{name}{match[3]}{REDACTED}"


def _oracle(text: str) -> str:
    parts, end = [], 0
    named = _ORACLE_WORDS.search(text) is not None
    for run in in_time(_RUNS.finditer(text)):
        if "@" not in run[0] or "/" not in run[0]:
            continue
        found = _ORACLE.fullmatch(run[0].rstrip(",;)."))
        if found is None or not (named or found[2] or found[4]):
            continue
        if found[1] == REDACTED or is_reference(found[1]):
            continue
        start = run.start() + found.start(1)
        parts += [text[end:start], REDACTED]
        end = run.start() + found.end(1)
    return "".join((*parts, text[end:]))
