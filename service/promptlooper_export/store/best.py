"""The best document: the winner, its scores and its whole config."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Notice
from promptlooper_export.errors import InvalidConfigError, NothingToExportError
from promptlooper_export.redaction import redact_text
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.judgements import judgements
from promptlooper_export.store.ranking import Ranking
from promptlooper_export.store.rows import Cells, InvalidJsonError, stored_json
from promptlooper_export.store.scoring import doubts, finite_means

_RUN = "SELECT config, config_hash FROM {runs} AS run WHERE id = ?"

# A kept document is the same for all who ask; the snapshot fills in when each one did.
_UNSAID = datetime(1970, 1, 1, tzinfo=UTC)

_PER_VALUE = 200
"""About how many bytes of memory a value of a config takes."""


def read_best(
    session: Session, catalog: Catalog, row: ExperimentRow, ranking: Ranking
) -> Best:
    """Return the winner of an experiment; the moment is to be filled in.

    Raises NothingToExportError if no run counts, and InvalidConfigError if the winner's
    stored config is not a strict JSON object.
    """
    if not ranking.places:
        raise NothingToExportError
    winner = ranking.places[0]
    judged = judgements(session, catalog, [winner.key])[winner.key]
    scores = finite_means(judged)
    sql = _RUN.format(runs=catalog.runs)
    text, config_hash = session.one(sql, winner.key) or (None, None)
    config, notices = decode_config(text, winner.run_id)
    warnings = [*row.warnings, *notices]
    cells = Cells("run", warnings.append, row=winner.run_id)
    return Best(
        experiment_name=row.experiment.name,
        experiment_id=row.experiment.id,
        exported_at=_UNSAID,
        weighted_score=winner.weighted_score,
        scores=scores,
        run_id=winner.run_id,
        config_hash=cells.required_text("config_hash", config_hash),
        config=config,
        warnings=(*warnings, *cautions(row, ranking, scores)),
    )


def size(best: Best) -> int:
    """Return about how many bytes of memory a document takes."""
    text = repr(best.config)
    return 4 * len(text) + _PER_VALUE * text.count(",")


def decode_config(
    text: str | None, run: UUID
) -> tuple[Mapping[str, JSON], tuple[Notice, ...]]:
    """Decode a stored config. Raises InvalidConfigError naming the run and the path."""
    try:
        config, notices = stored_json(text)
    except InvalidJsonError as error:
        # A key may be a secret, too.
        path = redact_text(error.path)
        where = f" at {path}" if path else ""
        msg = f"The config of run {run} {error}{where}; correct that row."
        raise InvalidConfigError(msg, run=str(run), paths=[path]) from error
    if not isinstance(config, dict):
        msg = f"The config of run {run} is not a JSON object; correct that row."
        raise InvalidConfigError(msg, run=str(run), paths=[""])
    return config, notices


def cautions(
    row: ExperimentRow, ranking: Ranking, scores: Mapping[str, float]
) -> Iterator[Notice]:
    """Say what the choice of the winner leaves open to doubt."""
    if ranking.election is not None:
        yield ranking.election
    yield from doubts(row.rule, scores, ranking.scorers)
    first, second = (*ranking.places[:2], None, None)[:2]
    is_by_run = ranking.election is None
    if is_by_run and first and second and first.weighted_score == second.weighted_score:
        yield Notice(
            code="tie",
            message=(
                f"Run {second.run_id} has the same weighted score; "
                "the older one wins, then the smaller id."
            ),
        )
    for scorer in sorted(ranking.scorers - set(scores)):
        yield Notice(
            code="winner-lacks-scorer",
            message=f"The winner has no score by {scorer!r}, which other runs have.",
            path=f"scores.{scorer}",
        )
    yield from ranking.notices
