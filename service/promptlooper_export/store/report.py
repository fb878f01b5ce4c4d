"""The report document: about an experiment, what does not grow with its runs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any, NamedTuple

from promptlooper_export.comparison import (
    DEVIATIONS,
    Config,
    deviations,
    differences,
    top_parameters,
)
from promptlooper_export.documents import Notice, RankedRun, Report, Winner
from promptlooper_export.errors import InvalidConfigError
from promptlooper_export.findings import Deviation, Rival
from promptlooper_export.store.best import cautions, decode_config
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.judgements import judgements
from promptlooper_export.store.ranking import Place, Ranking
from promptlooper_export.store.rows import Cells
from promptlooper_export.store.scoring import finite_means
from promptlooper_export.store.statistics import Statistics
from promptlooper_export.verdicts import Assessment

_RIVALS = 3

_RUNS = """
SELECT id, name, config, config_hash, duration_ms, tokens_in, tokens_out, cost_usd
FROM {runs} AS run WHERE id IN ({marks})
"""


class _Row(NamedTuple):
    """A run as stored: SQLite may hold any value in any column."""

    key: object
    name: Any
    config: str | None
    config_hash: Any
    duration_ms: Any
    tokens_in: Any
    tokens_out: Any
    cost_usd: Any


def read_report(
    session: Session,
    catalog: Catalog,
    row: ExperimentRow,
    ranking: Ranking,
    statistics: Statistics,
    assessment: Assessment | None,
    *,
    exported_at: datetime,
    top_n: int,
) -> Report:
    """Return the report of an experiment, with or without runs that count.

    The winner's parameters are compared with all other places of the ranking.
    """
    places = ranking.places
    rows = _rows(session, catalog, places)
    warnings = list(row.warnings)
    top = tuple(_ranked_runs(session, catalog, places[:top_n], rows, warnings))
    # Of all places, not only of those shown: they are what the winner is compared with.
    configs = [_config(rows[place.key].config, place, warnings) for place in places]
    warnings += cautions(row, ranking, top[0].scores) if top else ranking.notices
    winner = configs[0] if configs else None
    readable = [config for config in configs[1:] if config is not None]
    survey = statistics.survey
    return Report(
        experiment=row.experiment,
        exported_at=exported_at,
        counts=statistics.counts(ranking.scored),
        top_n=top_n,
        top=top,
        top_parameters=top_parameters(configs[:top_n]),
        winner=Winner(run=top[0], config=winner) if top else None,
        differences=None if winner is None else differences(winner, readable),
        scorers=survey.scorers,
        tokens=statistics.tokens,
        timing=statistics.timing,
        cost=statistics.cost,
        history=survey.history,
        distribution=survey.distribution,
        assessment=assessment,
        rivals=tuple(_rivals(places, configs)),
        parameters=survey.parameters,
        failures=statistics.failures,
        trade_offs=survey.trade_offs,
        coverage=survey.coverage,
        # It is about the winning run; a config is elected by several.
        sensitivity=survey.sensitivity if ranking.election is None else None,
        warnings=tuple(warnings),
    )


def _rivals(
    places: Sequence[Place], configs: Sequence[Config | None]
) -> Iterator[Rival]:
    """Yield the next best runs with a config of their own that can be read."""
    winner = configs[0] if configs else None
    if winner is None:
        return
    others = zip(places[1:], configs[1:], strict=True)
    seen: list[tuple[Deviation, ...]] = [()]
    for rank, (place, config) in enumerate(others, start=2):
        found = () if config is None else deviations(winner, config)
        if found in seen:
            continue
        seen.append(found)
        yield Rival(
            rank=rank,
            run_id=place.run_id,
            weighted_score=place.weighted_score,
            deviations=found[:DEVIATIONS],
            further=len(found[DEVIATIONS:]),
        )
        if len(seen) > _RIVALS:
            return


def _rows(
    session: Session, catalog: Catalog, places: tuple[Place, ...]
) -> dict[object, _Row]:
    if not places:
        return {}
    sql = _RUNS.format(runs=catalog.runs, marks=", ".join("?" * len(places)))
    found = starmap(_Row, session.all(sql, *(one.key for one in places)))
    return {row.key: row for row in found}


def _ranked_runs(
    session: Session,
    catalog: Catalog,
    places: tuple[Place, ...],
    rows: Mapping[object, _Row],
    warnings: list[Notice],
) -> Iterator[RankedRun]:
    judged = judgements(session, catalog, [place.key for place in places])
    for rank, place in enumerate(places, start=1):
        row = rows[place.key]
        cells = Cells("run", warnings.append, row=place.run_id)
        yield RankedRun(
            rank=rank,
            run_id=place.run_id,
            name=cells.text("name", row.name),
            weighted_score=place.weighted_score,
            scores=finite_means(judged[place.key]),
            config_hash=cells.required_text("config_hash", row.config_hash),
            duration_ms=cells.whole("duration_ms", row.duration_ms),
            tokens_in=cells.whole("tokens_in", row.tokens_in),
            tokens_out=cells.whole("tokens_out", row.tokens_out),
            cost_usd=cells.number("cost_usd", row.cost_usd),
        )


def _config(text: str | None, place: Place, warnings: list[Notice]) -> Config | None:
    """Decode a run's config; one that is not valid is left out and named."""
    try:
        config, notices = decode_config(text, place.run_id)
    except InvalidConfigError as error:
        warnings.append(Notice(code=error.slug, message=error.detail, path="config"))
        return None
    warnings.extend(notices)
    return config
