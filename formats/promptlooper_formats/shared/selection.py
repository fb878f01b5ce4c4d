"""Which parts of configs and scores a report shows, and which it has no room for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from promptlooper_export.plugin import (
    JSON,
    Deviation,
    Report,
    TopParameter,
    in_time,
    leaves,
)
from promptlooper_formats.shared.quantities import counted
from promptlooper_formats.shared.sentences import Contrast, tells_runs_apart
from promptlooper_formats.shared.word_diff import Piece, word_diff

_LONG = 80
"""From this many characters on, and with line breaks, a text is shown as a block."""

COLUMNS = 6
"""How many parameters, and how many scorers, the table of the best runs has."""

_CUT = 120
"""Characters of a value in a table; the config itself is shown whole."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A config for reading: its `texts`, such as prompts, and all other values."""

    texts: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, JSON], ...]


def settings(config: Mapping[str, JSON]) -> Settings:
    """Tell the prompts of a config from the rest, each by its path."""
    texts, values = [], []
    for path, value in in_time(leaves(config)):
        if _is_long(value):
            texts.append((path, value))
        else:
            values.append((path, value))
    return Settings(texts=tuple(texts), values=tuple(values))


def differing(report: Report) -> list[TopParameter]:
    """Return in what the best runs differ, without seeds; short values first.

    A prompt says more in full below the table than cut within it.
    """
    found = [
        one for one in report.top_parameters if not tells_runs_apart(report, one.path)
    ]
    return sorted(found, key=lambda one: any(map(_is_long, one.values)))


def _is_long(value: JSON) -> TypeGuard[str]:
    return isinstance(value, str) and (len(value) > _LONG or "\n" in value)


def cut(value: JSON) -> str:
    """Write a value for a cell: text as it is, the rest as JSON, and not too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}\u2026"


def brief(value: JSON, winner: JSON) -> str:
    """Write a value beside the winner's: of a long text, only whether it is another."""
    return brief_text(value, winner) or cut(value)


def brief_text(value: JSON, winner: JSON) -> str:
    """Say of a long text whether it is the winner's; nothing of any other value."""
    if not _is_long(value):
        return ""
    if value == winner:
        return "the winner's text"
    return f"another text, {counted(len(value.split()), 'word')}"


@dataclass(frozen=True, kw_only=True)
class ChangedText:
    """What the winner's text has in the place of another's, word by word."""

    path: str
    source: str
    pieces: tuple[Piece, ...]


def changed_texts(found: Sequence[Contrast]) -> Iterator[ChangedText]:
    """Yield the long texts in which the winner differs from the runner-up.

    If it does not, then from the usual one.
    """
    for row in found:
        is_new = row.runner_up != row.winner
        source, text = (
            ("runner-up's", row.runner_up) if is_new else ("usual one", row.usual)
        )
        yield from _changed(row.path, source, text, row.winner)


def deviating_texts(found: Sequence[Deviation]) -> Iterator[ChangedText]:
    """Yield the long texts in which the winner differs from another winner."""
    for row in found:
        yield from _changed(row.path, "other winner's", row.other, row.winner)


def _changed(path: str, source: str, old: JSON, new: JSON) -> Iterator[ChangedText]:
    if (
        isinstance(old, str)
        and isinstance(new, str)
        and (_is_long(old) or _is_long(new))
    ):
        yield ChangedText(path=path, source=source, pieces=tuple(word_diff(old, new)))


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The scores of the best runs: as many scorers as a table has room for."""

    scorers: tuple[str, ...]
    further: tuple[str, ...]


def score_table(report: Report) -> ScoreTable:
    """Choose the scorers of the table of the best runs: those that weigh most."""
    weights = {one.name: one.weight or 0.0 for one in report.scorers}
    names = {name for run in report.top for name in run.scores}
    ranked = sorted(names, key=lambda name: (-weights.get(name, 0.0), name))
    return ScoreTable(scorers=tuple(ranked[:COLUMNS]), further=tuple(ranked[COLUMNS:]))
