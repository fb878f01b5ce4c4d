"""How the time of an export depends on the number of runs: `python bench [URL]`.

Works on a throw-away SQLite file, or on the empty database that URL names. Every figure
is a ratio to a reference measured in the same run, in alternation: times of one
machine say little about another.
"""

import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

import classic
import commits
import importing
import indexes
import latency
import plain
import starting
import verdict
from timing import alternate, compare, exporting

import data
from promptlooper_export.registry import discover
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.store.writer import write

FEW, MANY = 1_000, 100_000
ROUNDS = 200
CLASSIC_ROUNDS = 3
CHANGED_ROUNDS = 15
FULL_ROUNDS = 2
PLAINEST = {
    "ndjson": plain.ndjson,
    "csv": plain.table,
    "parquet": plain.parquet,
    "arrow": plain.arrow,
}
"""Full exports, and the plainest way to write the same."""


def measure(url: str) -> None:
    """Fill the database and print a line for each comparison."""
    formats = discover().formats
    migrate(url, create=True)
    few, many = data.experiment(FEW), data.experiment(MANY)
    write(url, iter([few, many]))
    with closing(open_store(url)) as store:
        for name in ("json", "env", "yaml"):
            small, large = alternate(
                exporting(store, few.id, formats[name]),
                exporting(store, many.id, formats[name]),
                ROUNDS,
            )
            compare(f"{name}, {MANY:,} runs against {FEW:,}", large, small)
        for record, size in ((few, FEW), (many, MANY)):
            exporting_json = exporting(store, record.id, formats["json"])
            reading_all = partial(classic.winner, url, record.id, data.WEIGHTS)
            for state, change in (
                ("unchanged", None),
                ("changed", partial(plain.change, url, record.id)),
            ):
                ours, theirs = alternate(
                    exporting_json, reading_all, CLASSIC_ROUNDS, before=change
                )
                compare(f"reading all {size:,} runs, json {state}", theirs, ours)
            ours, bare = alternate(
                exporting_json,
                partial(plain.aggregate, url, record.id, data.WEIGHTS),
                CHANGED_ROUNDS,
                before=partial(plain.change, url, record.id),
            )
            compare(f"json of {size:,} changed runs, bare aggregate", ours, bare)
        _reports(store, url, few.id, many.id)
        for name, reference in PLAINEST.items():
            ours, plainest = alternate(
                exporting(store, many.id, formats[name]),
                partial(reference, url, many.id, data.WEIGHTS),
                FULL_ROUNDS,
            )
            compare(f"{name} of {MANY:,} runs against the plainest", ours, plainest)
    latency.measure(url, few.id)
    indexes.measure(url, few.id, many.id)


def _reports(store: Store, url: str, few: UUID, many: UUID) -> None:
    formats = discover().formats
    small, large = alternate(
        exporting(store, few, formats["markdown"]),
        exporting(store, many, formats["markdown"]),
        CLASSIC_ROUNDS,
    )
    compare(f"markdown, {MANY:,} runs against {FEW:,}", large, small)
    for name in ("html", "report-json"):
        ours, bare = alternate(
            exporting(store, many, formats[name]),
            partial(plain.scan, url, many),
            CLASSIC_ROUNDS,
            before=partial(plain.change, url, many),
        )
        compare(f"{name} of {MANY:,} runs, one scan of the scores", ours, bare)
    statistics, rest = verdict.split(store, many)
    compare(f"statistics of {MANY:,} runs, rest of the report", statistics, rest)


def main() -> None:
    """Measure on the database named, or on a new file."""
    with tempfile.TemporaryDirectory() as folder:
        measure(sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/bench.db")
        commits.measure(Path(folder))
        importing.measure(Path(folder))
        starting.measure()


if __name__ == "__main__":
    main()
