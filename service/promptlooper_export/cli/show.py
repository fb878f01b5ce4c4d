"""`show`: what came out of an experiment, for a person at a terminal."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from textwrap import wrap

import click

from promptlooper_export import settings
from promptlooper_export.cli.completion import EXPERIMENT
from promptlooper_export.cli.terminal import (
    AS_JSON,
    counted,
    note,
    printable,
    table,
    write_json,
)
from promptlooper_export.configs import JSON, leaves
from promptlooper_export.documents import Differences, RankedRun, Report, RunCounts
from promptlooper_export.redaction import redact
from promptlooper_export.schemas import ReportSchema
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

WIDTH = 80
"""The columns of the narrowest terminals that people still use."""

_TOP = 5
_DIFFERENCES = 8


@click.command()
@EXPERIMENT
@AS_JSON
def show(*, reference: str, as_json: bool) -> None:
    """Show what came out of an experiment.

    The winner, its lead, its config and what it does differently from the others.

    ID may be the beginning of an id; NAME must belong to only one experiment. Secrets
    are masked. The whole report is `export -f html` or `-f markdown`.
    """
    loaded = settings.load()
    with (
        closing(open_store(loaded.database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        report = redact(snapshot.report(snapshot.find(reference), top_n=_TOP))
    if as_json:
        write_json(ReportSchema().dump(report))
        return
    for line in _lines(report):
        click.echo(_cut(line))
    for notice in report.warnings:
        note(f"warning: {printable(str(notice))}")


def _lines(report: Report) -> Iterator[str]:
    experiment = report.experiment
    yield printable(f"{experiment.name} ({experiment.status}, {experiment.id})")
    yield from _counts(report.counts)
    if report.winner is None:
        yield "No winner: no completed run has a score that counts."
        return
    yield ""
    yield from _winner(report.winner.run, report.top)
    if report.assessment is not None:
        for verdict in report.assessment.verdicts:
            yield from wrap(verdict.summary, WIDTH)
    yield ""
    yield from _config(report.winner.config)
    if report.differences is not None and report.differences.parameters:
        yield ""
        yield from _differences(report.differences)
    if len(report.top) > 1:
        yield ""
        yield from _ranking(report.top)


def _counts(counts: RunCounts) -> Iterator[str]:
    by_status = ", ".join(f"{count} {word}" for word, count in counts.by_status.items())
    yield f"{counted(counts.total, 'run')}{by_status and f': {by_status}'}"
    if counts.scored:
        yield f"{counted(counts.scored, 'run')} compared"


def _winner(winner: RankedRun, top: tuple[RankedRun, ...]) -> Iterator[str]:
    yield f"Winner: {winner.weighted_score:.4f}, run {winner.run_id}"
    if len(top) > 1:
        second = top[1].weighted_score
        lead = winner.weighted_score - second
        yield f"  {lead:.4f} ahead of the second, which has {second:.4f}"
    yield from _indented(
        [(name, f"{score:.4f}") for name, score in winner.scores.items()]
    )


def _config(config: Mapping[str, JSON] | None) -> Iterator[str]:
    if config is None:
        yield "Its config cannot be read; see the warning."
        return
    yield "Config"
    yield from _indented([(path, _value(value)) for path, value in leaves(config)])


def _differences(found: Differences) -> Iterator[str]:
    yield f"What it does differently from {counted(found.compared, 'other run')}"
    yield from _indented(
        [
            (
                one.path,
                _value(one.winner) if one.has_winner else "(absent)",
                f"usually {_value(one.usual)}" if one.has_usual else "usually absent",
                f"{one.share:.0%} agree",
            )
            for one in found.parameters[:_DIFFERENCES]
        ]
    )


def _ranking(top: tuple[RankedRun, ...]) -> Iterator[str]:
    yield "Best runs"
    yield from _indented(
        [
            (str(run.rank), f"{run.weighted_score:.4f}", str(run.run_id), _cost(run))
            for run in top
        ]
    )


def _cost(run: RankedRun) -> str:
    parts = []
    if run.duration_ms is not None:
        parts.append(f"{run.duration_ms / 1000:.1f} s")
    if run.cost_usd is not None:
        parts.append(f"${run.cost_usd:.4f}")
    return ", ".join(parts)


def _indented(rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield from (f"  {line}" for line in table(rows))


def _value(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH // 2 else f"{text[: WIDTH // 2 - 3]}..."


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
