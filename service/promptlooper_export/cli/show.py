"""`show`: what came out of an experiment, for a person at a terminal."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap

import click

from promptlooper_export import settings
from promptlooper_export.cli.selecting import (
    Election,
    Other,
    election_options,
    other_options,
)
from promptlooper_export.cli.sources import Subject, subject_argument
from promptlooper_export.cli.terminal import (
    AS_JSON,
    counted,
    note,
    printable,
    table,
    write_json,
)
from promptlooper_export.configs import JSON, leaves
from promptlooper_export.documents import RankedRun, Report, RunCounts
from promptlooper_export.findings import Failures, Rival
from promptlooper_export.redaction import redact
from promptlooper_export.schemas import ReportSchema
from promptlooper_export.verdicts import Assessment, ExperimentComparison
from promptlooper_export.viewer import OPERATOR

WIDTH = 80
"""The columns of the narrowest terminals that people still use."""

_TOP = 5
_DEVIATIONS = 6
_FAILURES = 3


@click.command()
@subject_argument
@election_options
@other_options
@AS_JSON
def show(
    *,
    subject: Subject,
    election: Election,
    other: Other,
    as_json: bool,
) -> None:
    """Show what came out of an experiment.

    The winner, whether it is better or lucky, its config, and the next best configs
    with what differs.

    ID may be the beginning of an id; NAME must belong to only one experiment. Secrets
    are masked. The whole report is `export -f html` or `-f markdown`.
    """
    with (
        subject.opened(settings.load()) as (store, experiment),
        store.snapshot(OPERATOR) as snapshot,
    ):
        report = redact(
            snapshot.report(
                experiment,
                top_n=_TOP,
                what_if=election.what_if,
                baseline=election.baseline,
                margin=election.tolerance,
                against=other.find(snapshot),
            )
        )
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
        yield from _against(report.against)
        return
    yield ""
    yield from _winner(report.winner.run)
    if report.assessment is not None:
        yield from _verdicts(report.assessment)
    yield from _against(report.against)
    yield ""
    yield from _config(report.winner.config)
    for rival in report.rivals:
        yield ""
        yield from _rival(rival)
    if report.failures is not None:
        yield ""
        yield from _failures(report.failures)


def _counts(counts: RunCounts) -> Iterator[str]:
    by_status = ", ".join(f"{count} {word}" for word, count in counts.by_status.items())
    yield f"{counted(counts.total, 'run')}{by_status and f': {by_status}'}"
    if counts.scored:
        yield f"{counted(counts.scored, 'run')} compared"


def _winner(winner: RankedRun) -> Iterator[str]:
    yield f"Winner: {winner.weighted_score:.4f}, run {winner.run_id}"
    rows = [(name, f"{score:.4f}") for name, score in winner.scores.items()]
    yield from _indented([*rows, *_costs(winner)])


def _verdicts(assessment: Assessment) -> Iterator[str]:
    for verdict in assessment.verdicts:
        yield from wrap(verdict.summary, WIDTH)
    if assessment.shrunk is not None:
        yield f"Without what is probably luck, it would score {assessment.shrunk:.4f}."


def _against(found: ExperimentComparison | None) -> Iterator[str]:
    if found is None:
        return
    yield f"Against {printable(found.experiment_name)} ({found.experiment_id})"
    yield from wrap(found.summary, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from _indented(
        [
            (str(one.tag), one.verdict.verdict, f"{one.verdict.difference:+.4f}")
            for one in found.tags
        ]
    )


def _config(config: Mapping[str, JSON] | None) -> Iterator[str]:
    if config is None:
        yield "Its config cannot be read; see the warning."
        return
    yield "Config"
    yield from _indented([(path, _value(value)) for path, value in leaves(config)])


def _rival(rival: Rival) -> Iterator[str]:
    yield f"Place {rival.rank}: {rival.weighted_score:.4f}, run {rival.run_id}"
    yield from _indented(
        [
            (
                one.path,
                _value(one.other) if one.has_other else "(absent)",
                f"instead of {_value(one.winner)}" if one.has_winner else "in addition",
            )
            for one in rival.deviations[:_DEVIATIONS]
        ]
    )
    further = rival.further + len(rival.deviations[_DEVIATIONS:])
    if further:
        yield f"  and {counted(further, 'further difference')}"


def _failures(found: Failures) -> Iterator[str]:
    yield f"{counted(found.runs, 'run')} failed"
    retry = {"yes": "retry may help", "no": "retry will not help", "unknown": ""}
    yield from _indented(
        [
            (f"{one.count:,}", retry[one.retry], one.message or "without an error")
            for one in found.groups[:_FAILURES]
        ]
    )


def _costs(run: RankedRun) -> Iterator[tuple[str, str]]:
    if run.duration_ms is not None:
        yield "duration", f"{run.duration_ms / 1000:.1f} s"
    if run.cost_usd is not None:
        yield "cost", f"${run.cost_usd:.4f}"


def _indented(rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield from (f"  {line}" for line in table(rows))


def _value(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH // 2 else f"{text[: WIDTH // 2 - 3]}..."


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
