"""What exports cost a runner that commits to SQLite meanwhile, outside WAL and in it.

The runner adds one score per commit, a few milliseconds apart. How long its commits
take is compared in turn without exports and with another process that exports without
a pause.
"""

import multiprocessing
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles
from uuid import UUID

from timing import exporting, ratio

import data
from promptlooper_export.registry import discover
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


def measure(folder: Path) -> None:
    """Print a line for each journal mode and size."""
    for mode in ("delete", "wal"):
        for size in SIZES:
            file = folder / f"{mode}-{size}.db"
            alone, disturbed = latencies(file, mode, size)
            middle, tail = (
                ratio(quantiles(disturbed, n=100)[at], quantiles(alone, n=100)[at])
                for at in (49, 98)
            )
            what = f"commits during exports, {mode}, {size:,} runs"
            print(f"{what:<45} p50 {middle}  p99 {tail}", flush=True)


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
    runner: sqlite3.Connection, keys: Iterator[tuple[object]]
) -> Iterator[float]:
    """Commit for a while; yield the seconds of each commit, with waits for locks."""
    end = time.perf_counter() + ROUND_SECONDS
    while (start := time.perf_counter()) < end:
        with runner:
            runner.execute(ADD_SCORE, next(keys))
        yield time.perf_counter() - start
        time.sleep(PAUSE_SECONDS)


@contextmanager
def exports(url: str, experiment: UUID) -> Iterator[None]:
    """Export in another process for the length of the block."""
    processes = multiprocessing.get_context("spawn")
    has_begun = processes.Event()
    exporter = processes.Process(
        target=export_forever, args=(url, experiment, has_begun)
    )
    exporter.start()
    try:
        has_begun.wait()
        yield
    finally:
        exporter.terminate()
        exporter.join()


def export_forever(url: str, experiment: UUID, has_begun: Event) -> None:
    """Export every run as CSV and the winner as JSON in turn, until terminated."""
    formats = discover().formats
    with closing(open_store(url)) as store:
        calls = [
            exporting(store, experiment, formats[name]) for name in ("csv", "json")
        ]
        while True:
            for call in calls:
                call()
            has_begun.set()
