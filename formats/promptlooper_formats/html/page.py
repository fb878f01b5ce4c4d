"""The winning config as files to copy from the page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from promptlooper_export.plugin import Best, Format, Report, UnrepresentableError
from promptlooper_formats.env import ENV
from promptlooper_formats.json import JSON_FORMAT
from promptlooper_formats.yaml import YAML

_LONGEST = 60_000
"""Characters of a config that is shown again as files, which multiply it by three."""


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
