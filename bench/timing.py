"""What the benches share: an export as a call, two calls in turn, a ratio as text."""

import time
from collections.abc import Callable
from statistics import median
from uuid import UUID

from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.registry import AnyFormat
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import OPERATOR

LIMITS = Limits(spool_bytes=1 << 40)
EVERYTHING = Selection()

Timed = Callable[[], object]


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


def alternate(
    first: Timed, second: Timed, rounds: int, *, before: Timed | None = None
) -> tuple[float, float]:
    """Run both in turn; return their median times in seconds.

    What is to happen `before` each call is not timed.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, taken in zip((first, second), times, strict=True):
            taken.append(seconds(call, before))
    return median(times[0]), median(times[1])


def seconds(call: Timed, before: Timed | None = None) -> float:
    """Return the time of a call in seconds; what is to happen `before` is not timed."""
    if before is not None:
        before()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(what: str, measured: float, reference: float) -> None:
    """Print a line with a ratio."""
    print(f"{what:<45} {ratio(measured, reference)}", flush=True)


def ratio(measured: float, reference: float) -> str:
    """Return a ratio and the two times that it is made of."""
    return (
        f"x{measured / reference:<10.2f}"
        f"({measured * 1000:.2f} ms / {reference * 1000:.2f} ms)"
    )
