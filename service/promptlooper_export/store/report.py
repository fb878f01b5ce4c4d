"""The report document: about an experiment, what does not grow with its runs."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from promptlooper_export.differences import Config, differences
from promptlooper_export.documents import Notice, RankedRun, Report, Winner
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.store import aggregates
from promptlooper_export.store.access import ExperimentRow
from promptlooper_export.store.best import cautions, decode_config
from promptlooper_export.store.cells import Cells, row_id
from promptlooper_export.store.database import Row, Session
from promptlooper_export.store.ranking import Place, Ranking
from promptlooper_export.store.ranking import scores as run_scores

COMPARED = 100
"""With how many of the next best runs the winner's parameters are compared."""

_RUNS = """
SELECT
    id, CAST(config AS TEXT), config_hash, duration_ms, tokens_in, tokens_out, cost_usd
FROM runs WHERE id IN ({})
"""


def document(
    session: Session, row: ExperimentRow, exported_at: datetime, *, top_n: int
) -> Report:
    """Return the report of an experiment, with or without runs that count."""
    ranking = Ranking(session, row)
    places = ranking.top(COMPARED + 1)
    rows = _rows(session, places)
    warnings = list(row.warnings)
    top = tuple(_ranked_runs(session, places[:top_n], rows, warnings))
    configs = [_config(rows[place.run_id], place, warnings) for place in places]
    warnings += (
        cautions(row, ranking, places[:2], top[0].scores)
        if top
        else ranking.unusable_scores()
    )
    winner = configs[0] if configs else None
    counts, tokens, cost = aggregates.totals(session, row)
    return Report(
        experiment=row.experiment,
        exported_at=exported_at,
        counts=counts,
        top_n=top_n,
        top=top,
        winner=Winner(run=top[0], config=winner) if top else None,
        differences=None
        if winner is None
        else differences(
            winner, [config for config in configs[1:] if config is not None]
        ),
        scorers=tuple(aggregates.scorers(session, row)),
        tokens=tokens,
        timing=aggregates.timing(session, row),
        cost=cost,
        history=tuple(aggregates.history(session, row)),
        warnings=tuple(warnings),
    )


def _rows(session: Session, places: list[Place]) -> dict[UUID, Row]:
    if not places:
        return {}
    marks = ", ".join("?" * len(places))
    keys = [session.key(place.run_id) for place in places]
    return {
        row_id(row[0], "runs"): row[1:]
        for row in session.all(_RUNS.format(marks), *keys)
    }


def _ranked_runs(
    session: Session,
    places: list[Place],
    rows: Mapping[UUID, Row],
    warnings: list[Notice],
) -> Iterator[RankedRun]:
    if not places:
        return
    scores = run_scores(session, [place.run_id for place in places])
    for rank, place in enumerate(places, start=1):
        _, config_hash, duration_ms, tokens_in, tokens_out, cost_usd = rows[
            place.run_id
        ]
        cells = Cells("run", warnings.append, row=place.run_id)
        yield RankedRun(
            rank=rank,
            run_id=place.run_id,
            weighted_score=place.weighted_score,
            scores=scores[place.run_id],
            config_hash=cells.required_text("config_hash", config_hash),
            duration_ms=cells.whole("duration_ms", duration_ms),
            tokens_in=cells.whole("tokens_in", tokens_in),
            tokens_out=cells.whole("tokens_out", tokens_out),
            cost_usd=cells.number("cost_usd", cost_usd),
        )


def _config(row: Row, place: Place, warnings: list[Notice]) -> Config | None:
    """Decode a run's config; one that is not valid is left out and named."""
    try:
        config, notices = decode_config(row[0], place.run_id)
    except InvalidConfigError as error:
        warnings.append(Notice(code=error.slug, message=error.detail, path="config"))
        return None
    warnings.extend(notices)
    return config
