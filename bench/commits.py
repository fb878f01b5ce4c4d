"""What exports cost a runner that commits to SQLite meanwhile, outside WAL and in it.

The runner adds one score per commit, a few milliseconds apart. How long its commits
take is compared in turn without exports and with another process that exports without
a pause.

In WAL mode, exports that overlap also keep the log from starting over. With eight of
them at once and 50 larger commits a second, its size is compared with what it would be
if exports did not wait for it.
"""

import multiprocessing
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import cycle
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles
from threading import Thread
from uuid import UUID

from timing import Cost, Row, exporting

import data
from promptlooper_export.errors import DatabaseUnavailableError
from promptlooper_export.registry import discover
from promptlooper_export.store import write_ahead_log
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.writer import write

SIZES = (500, 5_000)
"""Runs; outside WAL, the smaller file is read in place, the larger one is copied."""

ROUNDS = 3
ROUND_SECONDS = 4
PAUSE_SECONDS = 0.005
LOCK_SECONDS = 30

ADD_SCORE = "INSERT INTO scores (run_id, scorer_name, value) VALUES (?, 'bench', 1)"

OVERLAPPING = 8
LOG_SECONDS = 30
LOG_PAUSE_SECONDS = 0.02
LIMITS = (("", write_ahead_log.LIMIT_BYTES), (", if they did not wait", sys.maxsize))

ADD_OUTPUT = """
INSERT INTO stage_results (run_id, stage_name, output)
VALUES (?, 'bench', hex(randomblob(12000)))
"""


def measure(folder: Path) -> Iterator[Row]:
    """Compare the middle and the tail, for each journal mode and size."""
    for mode in ("delete", "wal"):
        for size in SIZES:
            file = folder / f"{mode}-{size}.db"
            alone, disturbed = latencies(file, mode, size)
            case = f"commit during exports, {mode}, {size:,} runs"
            yield from rows(case, alone, disturbed)
    for what, limit in LIMITS:
        file = folder / f"log-{limit}.db"
        alone, disturbed, largest = growth(file, limit)
        case = f"commit during overlapping exports{what}"
        yield from rows(case, alone, disturbed, f"log {largest / 1e6:.0f} MB")


def rows(
    case: str, alone: list[float], disturbed: list[float], note: str = ""
) -> Iterator[Row]:
    """Compare the commits in the middle, p50, and at the tail, p99."""
    for percent in (50, 99):
        slow, quick = (
            quantiles(times, n=100)[percent - 1] for times in (disturbed, alone)
        )
        yield Row(
            case=f"{case}, p{percent}",
            reference="without exports",
            ours=Cost(seconds=slow),
            theirs=Cost(seconds=quick),
            note=note,
        )


def growth(file: Path, limit: int) -> tuple[list[float], list[float], int]:
    """Return the times of commits, and the size of the log after overlapping exports.

    Exports wait once the log holds `limit` bytes.
    """
    url = f"sqlite:///{file}"
    migrate(url, create=True)
    experiment = data.experiment(SIZES[0])
    write(url, iter([experiment]))
    with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as runner:
        runner.execute("PRAGMA journal_mode = wal")
        keys = cycle(runner.execute("SELECT id FROM runs").fetchall())
        larger = partial(
            commits, runner, keys, statement=ADD_OUTPUT, pause=LOG_PAUSE_SECONDS
        )
        alone = list(larger(seconds=LOG_SECONDS / 3))
        with exports(url, experiment.id, at_once=OVERLAPPING, limit=limit):
            disturbed = list(larger(seconds=LOG_SECONDS))
        return alone, disturbed, Path(f"{file}-wal").stat().st_size


def latencies(file: Path, mode: str, size: int) -> tuple[list[float], list[float]]:
    """Return the times of commits without exports and with them, in seconds."""
    url = f"sqlite:///{file}"
    migrate(url, create=True)
    experiment = data.experiment(size)
    write(url, iter([experiment]))
    alone: list[float] = []
    disturbed: list[float] = []
    with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as runner:
        runner.execute(f"PRAGMA journal_mode = {mode}")
        keys = cycle(runner.execute("SELECT id FROM runs").fetchall())
        for _ in range(ROUNDS):
            alone += commits(runner, keys)
            with exports(url, experiment.id):
                disturbed += commits(runner, keys)
    return alone, disturbed


def commits(
    runner: sqlite3.Connection,
    keys: Iterator[tuple[object]],
    *,
    statement: str = ADD_SCORE,
    pause: float = PAUSE_SECONDS,
    seconds: float = ROUND_SECONDS,
) -> Iterator[float]:
    """Commit for a while; yield the seconds of each commit, with waits for locks."""
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        with runner:
            runner.execute(statement, next(keys))
        yield time.perf_counter() - start
        time.sleep(pause)


@contextmanager
def exports(
    url: str,
    experiment: UUID,
    *,
    at_once: int = 1,
    limit: int = write_ahead_log.LIMIT_BYTES,
) -> Iterator[None]:
    """Export in another process for the length of the block."""
    processes = multiprocessing.get_context("spawn")
    has_begun = processes.Event()
    exporter = processes.Process(
        target=export_forever, args=(url, experiment, at_once, limit, has_begun)
    )
    exporter.start()
    try:
        has_begun.wait()
        yield
    finally:
        exporter.terminate()
        exporter.join()


def export_forever(
    url: str, experiment: UUID, at_once: int, limit: int, has_begun: Event
) -> None:
    """Export every run as CSV and the winner as JSON in turn, until terminated."""
    write_ahead_log.LIMIT_BYTES = limit
    formats = discover().formats
    with closing(open_store(url)) as store:
        calls = [
            exporting(store, experiment, formats[name]) for name in ("csv", "json")
        ]

        def work() -> None:
            while True:
                for call in calls:
                    # A refusal is for the client to try again.
                    with suppress(DatabaseUnavailableError):
                        call()
                has_begun.set()

        threads = [Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
