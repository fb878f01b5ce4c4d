"""Files of other tools, and what importers read from them."""

from math import fsum
from pathlib import Path

from promptlooper_export.importers.importer import choose
from promptlooper_export.records import ExperimentRecord, RunRecord

DATA = Path(__file__).parents[1] / "data" / "importers"

Found = list[tuple[ExperimentRecord, list[RunRecord]]]


def read(source: Path) -> Found:
    """Read a source with the importer that recognises it."""
    found = choose(str(source), kind=None).read(str(source))
    return [(record, list(record.runs)) for record in found]


def read_one(source: Path) -> tuple[ExperimentRecord, list[RunRecord]]:
    """Read a source of one experiment."""
    [found] = read(source)
    return found


def total(run: RunRecord, scorer: str) -> float:
    """Return the sum of a scorer's judgements."""
    return fsum(score for score in run.scores[scorer] if score is not None)


def by_case(run: RunRecord, scorer: str) -> tuple[list[str], list[float]]:
    """Return the cases that a scorer judged, sorted, and its judgements of each."""
    judged = zip(run.cases[scorer], run.scores[scorer], strict=True)
    pairs = sorted(
        (case, score)
        for case, score in judged
        if case is not None and score is not None
    )
    return [case for case, _ in pairs], [score for _, score in pairs]
