"""How long exports take, by format and number of runs: `python bench [URL]`.

Works on a throw-away SQLite file, or on the empty database that URL names. Times are
those of export(), without HTTP: medians of many in alternation.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid5

from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.interchange import ExperimentRecord, RunRecord
from promptlooper_export.registry import AnyFormat, discover
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.open import Store, open_store
from promptlooper_export.store.writer import write
from promptlooper_export.viewer import OPERATOR

SIZES = (100, 1_000, 10_000, 100_000)
REPETITIONS = 15
SCORERS = ("accuracy", "relevance", "fluency", "cost_efficiency")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(spool_bytes=1 << 40)


def experiment(size: int) -> ExperimentRecord:
    """Make up an experiment; the same size gives the same runs."""
    return ExperimentRecord(
        id=uuid5(NAMESPACE_OID, f"bench {size}"),
        name=f"bench {size}",
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config={"weights": {"accuracy": 0.5, "relevance": 0.3}},
        created_at=EPOCH,
        updated_at=EPOCH,
        runs=runs(size),
    )


def runs(size: int) -> Iterator[RunRecord]:
    """Yield completed runs with four scores and a config of a few settings."""
    chance = random.Random(size)  # noqa: S311  the same numbers each time
    for number in range(size):
        config = (
            f'{{"model": {{"name": "model-{number % 5}", "temperature": '
            f'{chance.random():.3f}}}, "top_k": {number % 20}, "seed": {number}}}'
        )
        moment = EPOCH + timedelta(seconds=number)
        yield RunRecord(
            id=UUID(int=chance.getrandbits(128)),
            name=None,
            status="completed",
            config=config,
            config_hash=sha256(config.encode()).hexdigest(),
            scores={scorer: (round(chance.random(), 6),) for scorer in SCORERS},
            tokens_in=chance.randrange(2000),
            tokens_out=chance.randrange(500),
            duration_ms=chance.randrange(5000),
            cost_usd=None,
            error=None,
            tags=None,
            stage_results=(),
            created_at=moment,
            started_at=None,
            finished_at=None,
            updated_at=moment,
        )


def milliseconds(store: Store, identity: UUID, chosen: AnyFormat) -> float:
    """Export once; how long it took."""
    start = time.perf_counter()
    body = export(
        store, OPERATOR, identity, chosen, {}, selection=Selection(), limits=LIMITS
    )
    body.file.close()
    return (time.perf_counter() - start) * 1000


def measure(url: str) -> Iterator[str]:
    """Yield the lines of the table: a row for each number of runs."""
    formats = discover().formats
    migrate(url)
    yield "".join(f"{head:>12}" for head in ("runs", "import s", *formats))
    for size in SIZES:
        record = experiment(size)
        start = time.perf_counter()
        write(url, iter([record]))
        written = time.perf_counter() - start
        with closing(open_store(url)) as store:
            rounds = [
                [milliseconds(store, record.id, chosen) for chosen in formats.values()]
                for _ in range(REPETITIONS)
            ]
        medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
        yield f"{size:>12}{written:>12.2f}" + "".join(f"{ms:>12.2f}" for ms in medians)


def main() -> None:
    """Print the table, milliseconds for each format."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{Path(folder) / 'bench.db'}"
        for line in measure(url):
            print(line, flush=True)


if __name__ == "__main__":
    main()
