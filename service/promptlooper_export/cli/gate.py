"""`gate`: is the winner good enough to deploy? For CI, which reads the exit code."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from promptlooper_export import settings
from promptlooper_export.cli.selecting import Election, election_options
from promptlooper_export.cli.sources import Subject, subject_argument
from promptlooper_export.cli.terminal import AS_JSON, write_json
from promptlooper_export.documents import Report
from promptlooper_export.errors import NothingToExportError, UsageError
from promptlooper_export.schemas import VerdictSchema
from promptlooper_export.verdicts import Verdict
from promptlooper_export.viewer import OPERATOR

PASSED = 0
FAILED = 1
NOT_ENOUGH_DATA = 5

_OUTCOMES = {PASSED: "passed", FAILED: "failed", NOT_ENOUGH_DATA: "not enough data"}


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """A condition's exit code, and why."""

    code: int
    reason: str


@click.command()
@subject_argument
@click.option(
    "--min-score", type=float, help="The weighted score that the winner must reach."
)
@election_options
@AS_JSON
def gate(
    *,
    subject: Subject,
    min_score: float | None,
    election: Election,
    as_json: bool,
) -> None:
    """Say by the exit code whether the winner is good enough.

    0: it is better than the baseline's config or tied with it, and its weighted score
    is at least --min-score. 1: it is worse, or below. 4: no run counts. 5: there is not
    enough data to tell it from the baseline.
    """
    if election.baseline is None and min_score is None:
        msg = "name what the winner must reach: --baseline, --min-score or both"
        raise UsageError(msg)
    with (
        subject.opened(settings.load()) as (store, experiment),
        store.snapshot(OPERATOR) as snapshot,
    ):
        report = snapshot.report(
            experiment,
            top_n=1,
            what_if=election.what_if,
            baseline=election.baseline,
            margin=election.tolerance,
        )
    if report.winner is None:
        raise NothingToExportError
    verdict = _verdict(report)
    answers = list(_answers(report, election.baseline, verdict, min_score))
    # A failure is certain whatever else is open.
    code = min((one.code for one in answers if one.code), default=PASSED)
    reasons = [one.reason for one in answers]
    if as_json:
        write_json(_described(report, verdict, code, reasons))
    else:
        click.echo("\n".join([*reasons, f"gate: {_OUTCOMES[code]}"]))
    sys.exit(code)


def _described(
    report: Report, verdict: Verdict | None, code: int, reasons: list[str]
) -> dict[str, object]:
    winner = report.winner and report.winner.run
    return {
        "gate": _OUTCOMES[code],
        "exit_code": code,
        "experiment_id": str(report.experiment.id),
        "run_id": winner and str(winner.run_id),
        "weighted_score": winner and winner.weighted_score,
        "verdict": verdict and VerdictSchema().dump(verdict),
        "reasons": reasons,
    }


def _verdict(report: Report) -> Verdict | None:
    verdicts = report.assessment.verdicts if report.assessment else ()
    return next((one for one in verdicts if one.against == "baseline"), None)


def _answers(
    report: Report,
    baseline: str | None,
    verdict: Verdict | None,
    min_score: float | None,
) -> Iterator[_Answer]:
    if min_score is not None and report.winner is not None:
        score = report.winner.run.weighted_score
        reached = score >= min_score
        word = "reaches" if reached else "is below"
        yield _Answer(
            code=PASSED if reached else FAILED,
            reason=f"The winner's score of {score:.4f} {word} {min_score:g}.",
        )
    if verdict is not None:
        codes = {"worse": FAILED, "not enough data": NOT_ENOUGH_DATA}
        yield _Answer(code=codes.get(verdict.verdict, PASSED), reason=verdict.summary)
    elif baseline is not None:
        yield _Answer(
            code=NOT_ENOUGH_DATA,
            reason="Not enough data: the scores are too large to be compared.",
        )
