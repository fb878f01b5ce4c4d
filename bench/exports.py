"""What exports cost: full ones, the winner and reports, against their references."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import classic
import plain
from timing import Made, Row, exporting_from, in_turn

import data

QUICK_ROUNDS = 50
CLASSIC_ROUNDS = 3
CHANGED_ROUNDS = 15
FULL_ROUNDS = 3
PLAINEST = {
    "ndjson": plain.ndjson,
    "csv": plain.table,
    "parquet": plain.parquet,
    "arrow": plain.arrow,
}
"""Full exports, and the plainest way to write the same."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A database with experiments, by their number of runs."""

    url: str
    experiments: Mapping[int, UUID]

    def exporting(self, size: int, name: str) -> Made:
        """Return what makes a call that exports an experiment."""
        return (exporting_from, self.url, self.experiments[size], name)

    def change(self, size: int) -> None:
        """Commit something, so that nothing that was kept holds any more."""
        plain.change(self.url, self.experiments[size])


def runs(filled: Filled, size: int) -> Iterator[Row]:
    """Compare exports of all runs with the plainest writers."""
    for name, write in PLAINEST.items():
        plainest = (partial, write, filled.url, filled.experiments[size], data.WEIGHTS)
        ours, theirs = in_turn(filled.exporting(size, name), plainest, FULL_ROUNDS)
        yield Row(
            case=f"{name} of {size:,} runs",
            reference="plainest writer",
            ours=ours,
            theirs=theirs,
        )


def winner(filled: Filled, few: int, many: int) -> Iterator[Row]:
    """Compare the winner's documents: by size, with reading all, with one statement."""
    for name in ("json", "env", "yaml"):
        ours, theirs = in_turn(
            filled.exporting(many, name), filled.exporting(few, name), QUICK_ROUNDS
        )
        yield Row(
            case=f"{name} of {many:,} runs",
            reference=f"of {few:,} runs",
            ours=ours,
            theirs=theirs,
        )
    for size in (few, many):
        change = partial(filled.change, size)
        of_all = (filled.url, filled.experiments[size], data.WEIGHTS)
        reading_all = (partial, classic.winner, *of_all)
        for state, before in (("unchanged", None), ("changed", change)):
            ours, theirs = in_turn(
                filled.exporting(size, "json"),
                reading_all,
                CLASSIC_ROUNDS,
                before=before,
            )
            yield Row(
                case=f"json of {size:,} {state} runs",
                reference="reading all runs",
                ours=ours,
                theirs=theirs,
            )
        ours, theirs = in_turn(
            filled.exporting(size, "json"),
            (partial, plain.aggregate, *of_all),
            CHANGED_ROUNDS,
            before=change,
        )
        yield Row(
            case=f"json of {size:,} changed runs",
            reference="bare statement",
            ours=ours,
            theirs=theirs,
        )


def reports(filled: Filled, few: int, many: int) -> Iterator[Row]:
    """Compare reports: by size, and with one scan of the scores."""
    ours, theirs = in_turn(
        filled.exporting(many, "markdown"),
        filled.exporting(few, "markdown"),
        CLASSIC_ROUNDS,
    )
    yield Row(
        case=f"markdown of {many:,} runs",
        reference=f"of {few:,} runs",
        ours=ours,
        theirs=theirs,
    )
    for name in ("html", "report-json"):
        ours, theirs = in_turn(
            filled.exporting(many, name),
            (partial, plain.scan, filled.url, filled.experiments[many]),
            CLASSIC_ROUNDS,
            before=partial(filled.change, many),
        )
        yield Row(
            case=f"{name} of {many:,} changed runs",
            reference="one scan of the scores",
            ours=ours,
            theirs=theirs,
        )
