"""The best document: the winner, its scores and its whole config."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from promptlooper_export.documents import JSON, Best, Notice
from promptlooper_export.errors import InvalidConfigError, NothingToExportError
from promptlooper_export.store import rules
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.cells import Cells
from promptlooper_export.store.database import Session
from promptlooper_export.store.ranking import Place, Ranking
from promptlooper_export.store.ranking import scores as run_scores
from promptlooper_export.store.values import InvalidJsonError, strict_json

_RUN = "SELECT CAST(config AS TEXT), config_hash FROM runs WHERE id = ?"


def document(session: Session, row: ExperimentRow, exported_at: datetime) -> Best:
    """Return the winner of an experiment.

    Raises NothingToExportError where no run counts, and InvalidConfigError where the
    winner's stored config is no strict JSON object.
    """
    ranking = Ranking(session, row)
    places = ranking.top(2)
    if not places:
        raise NothingToExportError
    winner = places[0]
    scores = run_scores(session, [winner.run_id])[winner.run_id]
    found = session.one(_RUN, session.key(winner.run_id))
    text, config_hash = found or ("", "")
    config, notices = decode_config(text, winner.run_id)
    warnings = [*row.warnings, *notices]
    cells = Cells("run", warnings.append, row=winner.run_id)
    return Best(
        experiment_name=row.experiment.name,
        experiment_id=row.experiment.id,
        exported_at=exported_at,
        weighted_score=winner.weighted_score,
        scores=scores,
        run_id=winner.run_id,
        config_hash=cells.required_text("config_hash", config_hash),
        config=config,
        warnings=(*warnings, *cautions(row, ranking, places, scores)),
    )


def decode_config(
    text: str | None, run: UUID
) -> tuple[Mapping[str, JSON], tuple[Notice, ...]]:
    """Decode a stored config. Raises InvalidConfigError naming the run and the path."""
    try:
        config, notices = strict_json(text)
    except InvalidJsonError as error:
        where = f" at {error.path}" if error.path else ""
        msg = f"The config of run {run} {error}{where}; correct that row."
        raise InvalidConfigError(msg, run=str(run), paths=[error.path]) from error
    if not isinstance(config, dict):
        msg = f"The config of run {run} is no JSON object; correct that row."
        raise InvalidConfigError(msg, run=str(run), paths=[""])
    return config, notices


def cautions(
    row: ExperimentRow,
    ranking: Ranking,
    places: list[Place],
    scores: Mapping[str, float],
) -> Iterator[Notice]:
    """Say what the choice of the winner leaves open to doubt."""
    yield from rules.doubts(row.experiment.scoring_config, scores)
    if len(places) > 1 and places[0].weighted_score == places[1].weighted_score:
        yield Notice(
            code="tie",
            message=(
                f"Run {places[1].run_id} has the same weighted score; "
                "the older one wins, then the smaller id."
            ),
        )
    for scorer in sorted(ranking.scorer_names() - set(scores)):
        yield Notice(
            code="winner-lacks-scorer",
            message=f"The winner has no score by {scorer!r}, which other runs have.",
            path=f"scores.{scorer}",
        )
    yield from ranking.unusable_scores()
