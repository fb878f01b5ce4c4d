"""What each index that `promptlooper-export index` makes saves a request."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from statistics import median
from uuid import UUID

import plain
from timing import Cost, Row, Timed, exporting, seconds

from promptlooper_export.export import Selection
from promptlooper_export.registry import discover
from promptlooper_export.store.connection import open_for_writing, writing
from promptlooper_export.store.diagnosis import look_at_indexes, make_indexes
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR

INDEXES = ("export_runs_order", "export_scores_value", "export_stage_results_run")
ROUNDS = 3
PAGE = Selection(limit=100)


def measure(url: str, few: UUID, many: UUID) -> Iterator[Row]:
    """Compare requests without each index with those that have it, given the others.

    `few` is a small experiment in the database, `many` a large one.
    """
    with writing(open_for_writing(url)) as session:
        if session.kind == "postgresql":
            session.run("ANALYZE")  # as autovacuum would before long
    change = partial(plain.change, url, few)
    with closing(open_store(url)) as store:
        calls = requests(store, few, many)
        for index in INDEXES:
            without: list[list[float]] = []
            indexed: list[list[float]] = []
            for _ in range(ROUNDS):
                with writing(open_for_writing(url)) as session:
                    session.run(f"DROP INDEX {index}")
                without.append(times(calls, change))
                for _ in make_indexes(url, look_at_indexes(url).statements):
                    pass
                indexed.append(times(calls, change))
            for name, slow, quick in zip(
                calls,
                zip(*without, strict=True),
                zip(*indexed, strict=True),
                strict=True,
            ):
                yield Row(
                    case=f"{name} without {index}",
                    reference="with it",
                    ours=Cost(seconds=median(slow)),
                    theirs=Cost(seconds=median(quick)),
                )


def requests(store: Store, few: UUID, many: UUID) -> Mapping[str, Timed]:
    """Return what is asked, by name."""
    formats = discover().formats

    def experiments() -> None:
        with store.snapshot(OPERATOR) as snapshot:
            list(snapshot.experiments())

    return {
        "list": experiments,
        "best of few": exporting(store, few, formats["json"]),
        "best of many": exporting(store, many, formats["json"]),
        "page of few": exporting(store, few, formats["ndjson"], selection=PAGE),
    }


def times(calls: Mapping[str, Timed], change: Timed) -> list[float]:
    """Return how many seconds each call took after a change."""
    return [seconds(call, change) for call in calls.values()]
