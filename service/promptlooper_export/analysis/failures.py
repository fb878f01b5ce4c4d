"""Failed runs by what went wrong, and whether to try them again."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from promptlooper_export.findings import Failure, Failures, Retry

_MOST_GROUPS = 10
_MOST_NAMED = 5

_MOST_DIFFERENT = 10_000
"""How many different messages are told apart."""

_LONGEST = 500
"""The longest message that is shown, in characters."""

_TRACEBACK = "Traceback (most recent call last)"

# Each word is looked at once; one with a digit is an id, a number or a time.
_WORD = re.compile(r"[A-Za-z0-9_-]+")

# A status is a number that follows such a word, or begins the message.
_STATUS = re.compile(
    r"(?:http(?:/[0-9.]{1,3})?|status(?:[ _]code)?|error(?:[ _]code)?|code)"
    r"[\W_]{0,4}([45][0-9]{2})(?![0-9])|^\W{0,3}([45][0-9]{2})(?![0-9])",
    re.IGNORECASE,
)

_HELPS_AFTER = frozenset({"408", "409", "425", "429"})
"""Statuses below 500 that another try may not get."""

_REASONS: tuple[tuple[Retry, str], ...] = (
    ("no", "insufficient.quota|billing|credit balance|payment"),
    ("no", "context.(?:length|window)|maximum context|prompt is too long"),
    ("no", "content.(?:filter|policy|management)|safety"),
)
"""What decides before a status does: the first that is found."""

_WORDS: tuple[tuple[Retry, str], ...] = (
    ("yes", "rate.?limit|too many requests|overloaded|throttl|quota"),
    ("no", "unauthori[sz]ed|forbidden|authenticat|permission|api.?key|credential"),
    ("yes", "time.?out|timed out|deadline"),
    ("yes", "connection|connect error|econn|network|broken pipe|reset by peer"),
    ("yes", "name resolution|temporar|unavailable|try again|bad gateway"),
    ("yes", "internal (?:server )?error"),
    ("no", "bad request|validation|invalid|not found|unsupported|not supported"),
    ("no", "(?:Type|Value|Key|Attribute|Index|Name|Import)Error|no such|missing"),
)
"""What decides without a status."""


def _compiled(
    table: tuple[tuple[Retry, str], ...],
) -> tuple[tuple[Retry, re.Pattern[str]], ...]:
    return tuple((retry, re.compile(words, re.IGNORECASE)) for retry, words in table)


_BEFORE_STATUS, _WITHOUT_STATUS = _compiled(_REASONS), _compiled(_WORDS)


@dataclass(kw_only=True)
class _Group:
    message: str | None
    count: int = 0
    run_ids: list[UUID] = field(default_factory=list)


def group_failures(failed: Iterable[tuple[UUID, str | None]]) -> Failures:
    """Group failed runs, the oldest first, by what their errors have in common."""
    groups: dict[str, _Group] = {}
    runs = 0
    for run_id, error in failed:
        runs += 1
        message = message_of(error)
        key = _without_numbers(message or "")
        if key not in groups and len(groups) == _MOST_DIFFERENT:
            continue
        group = groups.setdefault(key, _Group(message=message))
        group.count += 1
        if len(group.run_ids) < _MOST_NAMED:
            group.run_ids.append(run_id)
    # Sorting keeps the order in which the first of equal ones happened.
    ranked = sorted(groups.values(), key=lambda one: -one.count)
    listed = ranked[:_MOST_GROUPS]
    return Failures(
        runs=runs,
        groups=tuple(
            Failure(
                message=one.message,
                count=one.count,
                run_ids=tuple(one.run_ids),
                retry=may_help(one.message or ""),
            )
            for one in listed
        ),
        further=len(ranked) - len(listed),
        further_runs=runs - sum(one.count for one in listed),
    )


def message_of(error: str | None) -> str | None:
    """Return the line of an error that says what went wrong, None if there is none.

    It is the first one, and the last one of a traceback of Python.
    """
    lines = [line for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return None
    line = (lines[-1] if lines[0].startswith(_TRACEBACK) else lines[0]).strip()
    if len(line) <= _LONGEST:
        return line
    # Between words: half a secret may not be recognised as one.
    return line[: _LONGEST + 1].rpartition(" ")[0] + "…"


def may_help(message: str) -> Retry:
    """Return whether trying again may help, by a table of words and HTTP statuses."""
    for retry, words in _BEFORE_STATUS:
        if words.search(message):
            return retry
    if status := _STATUS.search(message):
        code = status[1] or status[2]
        return "yes" if code[0] == "5" or code in _HELPS_AFTER else "no"
    for retry, words in _WITHOUT_STATUS:
        if words.search(message):
            return retry
    return "unknown"


def _without_numbers(message: str) -> str:
    """Return what is the same for messages that differ in numbers and ids only."""
    statuses = [found[1] or found[2] for found in _STATUS.finditer(message)]
    words = _WORD.sub(
        lambda found: "#" if any(map(str.isdigit, found[0])) else found[0], message
    )
    return " ".join((*statuses, words))
