"""Find the secrets in a text: by their shape, and by what leads to them."""

import re
from collections.abc import Iterable, Mapping

from promptlooper_export.deadline import check_deadline
from promptlooper_export.redaction.arguments import redact_commands
from promptlooper_export.redaction.assignments import redact_assignments
from promptlooper_export.redaction.issuers import redact_issued
from promptlooper_export.redaction.names import MARKS
from promptlooper_export.redaction.urls import redact_urls
from promptlooper_export.redaction.values import REDACTED

_SHORTEST = 8  # such as -ua:b4cd

_COMMANDS = (" -", "--", "set ", "setx ", "setenv ", "env ", "machine ", "pass:")


_own: list[re.Pattern[str]] = []


def add_patterns(patterns: Iterable[re.Pattern[str]]) -> None:
    """Take what these patterns match for secrets as well, in place of earlier ones."""
    _own[:] = patterns


def redact_own(text: str) -> str:
    """Return a text without what the operator's own patterns match."""
    for pattern in _own:
        text = pattern.sub(REDACTED, text)
    return text


def redact_text(text: str) -> str:
    """Return a text without its secrets; the same object if there are none."""
    check_deadline()
    text = redact_own(text)
    if len(text) < _SHORTEST:
        return text
    text = redact_issued(text)
    if "@" in text or "=" in text or "/" in text or "%3" in text:
        text = redact_urls(text)
    lower = text.lower()
    if any(mark in lower for mark in _COMMANDS) or text.startswith("-"):
        text = redact_commands(text)
    if any(mark in lower for mark in MARKS):
        text = redact_assignments(text)
    return text


def free_key(key: str, taken: Mapping[str, object], numbers: dict[str, int]) -> str:
    """Return the key, with a number if redaction made it equal to another one.

    `numbers` has the last number of each key: counting from 1 for each of many secrets
    would take quadratic time.
    """
    free = key
    while free in taken:
        numbers[key] = numbers.get(key, 1) + 1
        free = f"{key} {numbers[key]}"
    return free
