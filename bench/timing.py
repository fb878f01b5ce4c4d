"""What the benches share: what a call takes, and two calls in turn."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from uuid import UUID

from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.registry import AnyFormat, discover
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR

LIMITS = Limits(spool_bytes=1 << 40)
EVERYTHING = Selection()

HELD = "VmRSS"
PEAK = "VmHWM"
"""Unlike ru_maxrss, which a process inherits from the one that started it."""

Timed = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something takes; None if that was not measured.

    `seconds` are the clock's, `cpu_seconds` those of all processors and processes.
    `peak_bytes` is the most memory that the largest process held, Python included.
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A comparison: what a case costs us, and what the reference costs."""

    case: str
    reference: str
    ours: Cost
    theirs: Cost
    note: str = ""


Measured = Callable[[], Cost]
Made = tuple[Callable[..., Timed], *tuple[object, ...]]
"""A function that returns a call, and its arguments; all can be pickled."""


def exporting(
    store: Store,
    experiment: UUID,
    chosen: AnyFormat,
    *,
    selection: Selection = EVERYTHING,
) -> Timed:
    """Return a call that exports once."""

    def run() -> None:
        body = export(
            store,
            OPERATOR,
            experiment,
            chosen,
            {},
            selection=selection,
            limits=LIMITS,
        )
        body.file.close()

    return run


def exporting_from(url: str, experiment: UUID, name: str) -> Timed:
    """Return a call that exports once, from a store that stays open."""
    return exporting(open_store(url), experiment, discover().formats[name])


def in_turn(
    ours: Made, theirs: Made, rounds: int, *, before: Timed | None = None
) -> tuple[Cost, Cost]:
    """Run both in turn, each in a process of its own; return their median costs.

    What is to happen `before` each call is not measured.
    """
    with apart(*ours) as first, apart(*theirs) as second:
        return alternate(first, second, rounds, before=before)


def alternate(
    first: Measured, second: Measured, rounds: int, *, before: Timed | None = None
) -> tuple[Cost, Cost]:
    """Measure both in turn; return their median costs."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(rounds):
        for measure, taken in zip((first, second), costs, strict=True):
            if before is not None:
                before()
            taken.append(measure())
    return middle(costs[0]), middle(costs[1])


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians of time, and the highest peak."""
    clock = [cost.seconds for cost in costs if cost.seconds is not None]
    cpu = [cost.cpu_seconds for cost in costs if cost.cpu_seconds is not None]
    peaks = [cost.peak_bytes for cost in costs if cost.peak_bytes is not None]
    return Cost(
        seconds=median(clock) if clock else None,
        cpu_seconds=median(cpu) if cpu else None,
        peak_bytes=max(peaks, default=None),
    )


@contextmanager
def apart(make: Callable[..., Timed], *values: object) -> Iterator[Measured]:
    """Make a call in a process of its own, so that its memory can be told.

    The process lives to the end of the block: what it keeps, it keeps between calls.
    """
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=_obey, args=(there, make, values))
    process.start()
    there.close()

    def measure() -> Cost:
        here.send(None)
        cost: Cost = here.recv()
        return cost

    try:
        yield measure
    finally:
        here.close()
        process.join()


def _obey(
    pipe: Connection, make: Callable[..., Timed], values: Sequence[object]
) -> None:
    call = make(*values)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(cost_of(call))


def cost_of(call: Timed) -> Cost:
    """Run a call in this process, and return what it takes."""
    cpu, start = _cpu_seconds(), time.perf_counter()
    call()
    return Cost(
        seconds=time.perf_counter() - start,
        cpu_seconds=_cpu_seconds() - cpu,
        peak_bytes=memory(os.getpid(), PEAK),
    )


def _cpu_seconds() -> float:
    """Return the seconds of this process, and of those that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def memory(process: int, kind: str) -> int:
    """Return the bytes that a process holds, or has held at its peak, all included."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition(f"{kind}:")[2].split()[0]) * 1024


def seconds(call: Timed, before: Timed | None = None) -> float:
    """Return the time of a call in seconds; what is to happen `before` is not timed."""
    if before is not None:
        before()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
