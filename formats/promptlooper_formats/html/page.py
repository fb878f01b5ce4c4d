"""The parts of the page that are more than a value of the report."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from promptlooper_export.plugin import (
    JSON,
    Best,
    Deviation,
    Format,
    Report,
    TopParameter,
    UnrepresentableError,
    leaves,
)
from promptlooper_formats.env import ENV
from promptlooper_formats.json import JSON_FORMAT
from promptlooper_formats.shared.quantities import counted
from promptlooper_formats.shared.sentences import Contrast, tells_runs_apart
from promptlooper_formats.shared.word_diff import Piece, word_diff
from promptlooper_formats.yaml import YAML

LONG = 80
"""From this many characters on, and with line breaks, a text is shown as a block."""

COLUMNS = 6
"""How many parameters, and how many scorers, the table of the best runs has."""

_LONGEST = 60_000
"""Characters of a config that is shown again as files, which multiply it by three."""

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
    for path, value in leaves(config):
        if isinstance(value, str) and (len(value) > LONG or "\n" in value):
            texts.append((path, value))
        else:
            values.append((path, value))
    return Settings(texts=tuple(texts), values=tuple(values))


@dataclass(frozen=True, kw_only=True)
class File:
    """A config as a file to copy; `error` says why it cannot be one."""

    title: str
    text: str
    error: str | None = None


def files(report: Report) -> list[File]:
    """Return the winning config as .env, YAML and JSON; none for a very long one."""
    winner = report.winner
    if winner is None or winner.config is None:
        return []
    if len(json.dumps(winner.config)) > _LONGEST:
        return []
    best = Best(
        experiment_name=report.experiment.name,
        experiment_id=report.experiment.id,
        exported_at=report.exported_at,
        weighted_score=winner.run.weighted_score,
        scores=winner.run.scores,
        run_id=winner.run.run_id,
        config_hash=winner.run.config_hash,
        config=winner.config,
    )
    return [
        _file(best, ".env", ENV, {}),
        _file(best, "YAML", YAML, {"only": "config"}),
        _file(best, "JSON", JSON_FORMAT, {"only": "config"}),
    ]


def _file(
    best: Best, title: str, renderer: Format[Best], options: Mapping[str, str]
) -> File:
    try:
        pieces = list(renderer.render(best, **options))
    except UnrepresentableError as error:
        return File(title=title, text="", error=str(error))
    data = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    return File(title=title, text=data.decode())


def differing(report: Report) -> list[TopParameter]:
    """Return in what the best runs differ, without seeds; short values first.

    A prompt says more in full below the table than cut within it.
    """
    found = [
        one for one in report.top_parameters if not tells_runs_apart(report, one.path)
    ]
    return sorted(found, key=lambda one: any(map(_is_long, one.values)))


def _is_long(value: JSON) -> bool:
    return isinstance(value, str) and (len(value) > LONG or "\n" in value)


def cut(value: JSON) -> str:
    """Write a value for a cell: text as it is, the rest as JSON, and not too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}\u2026"


def brief(value: JSON, winner: JSON) -> str:
    """Write a value beside the winner's: of a long text, only whether it is another."""
    if not isinstance(value, str) or not _is_long(value):
        return cut(value)
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
