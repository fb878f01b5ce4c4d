"""The same data give the same document, in any database and any order of the rows."""

import random
from dataclasses import fields
from datetime import timedelta
from uuid import UUID

from builders import EPOCH, experiment, run
from databases import Database
from promptlooper_export.documents import Report
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

HERE = UUID(int=1)


def record(order: random.Random) -> ExperimentRecord:
    """Build the same experiment, its runs in an order of one's own."""
    draw = random.Random(3)  # noqa: S311  the same numbers each time
    runs = [
        run(
            {"a": draw.random(), "b": [draw.gauss(0, 1e-4), draw.gauss(0, 1e3)]},
            id=UUID(int=100 + number),
            cost_usd=draw.expovariate(100),
            duration_ms=draw.randrange(10_000),
            created_at=EPOCH + timedelta(seconds=draw.randrange(10_000)),
        )
        for number in range(500)
    ]
    order.shuffle(runs)
    weights = {"a": 0.3, "b": 0.7}
    return experiment(*runs, weights=weights, id=HERE, name="x", created_at=EPOCH)


def report(database: Database) -> Report:
    store = open_store(database.url)
    with store.snapshot(OPERATOR) as snapshot:
        moment = snapshot.last_change(HERE)
        found = snapshot.report(HERE, top_n=50, exported_at=moment)
    store.close()
    return found


def differences(one: Report, other: Report) -> list[str]:
    names = [field.name for field in fields(Report)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def test_the_order_of_the_rows_and_the_database_do_not_matter(
    database: Database, empty_database: Database
) -> None:
    migrate(empty_database.url, create=True)
    database.load(record(random.Random(1)))  # noqa: S311
    empty_database.load(record(random.Random(2)))  # noqa: S311
    assert differences(report(database), report(empty_database)) == []
