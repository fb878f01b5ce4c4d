"""What the statistics of a report cost, as a ratio to the rest of the same report."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock
from uuid import UUID

from promptlooper_export.store import snapshot, survey
from promptlooper_export.store.snapshot import Store
from promptlooper_export.viewer import OPERATOR

_STATISTICS = (
    (snapshot, "read_evidence"),
    (snapshot, "assess"),
    (snapshot, "read_decision"),
    (survey, "explain"),
)
"""What is computed for the verdict, the decision record and the parameters."""


def split(store: Store, experiment: UUID) -> tuple[float, float]:
    """Return the seconds of the statistics, and of all else in a report."""
    spent: list[float] = []
    with ExitStack() as stack:
        for module, name in _STATISTICS:
            stack.enter_context(_timing(module, name, spent))
        found = stack.enter_context(store.snapshot(OPERATOR))
        start = time.perf_counter()
        found.report(experiment, top_n=5, with_decision=True)
        total = time.perf_counter() - start
    return sum(spent), total - sum(spent)


@contextmanager
def _timing(module: ModuleType, name: str, spent: list[float]) -> Iterator[None]:
    timed: Callable[..., object] = getattr(module, name)

    def run(*values: Any, **named: Any) -> object:  # noqa: ANN401  whatever it takes
        start = time.perf_counter()
        try:
            return timed(*values, **named)
        finally:
            spent.append(time.perf_counter() - start)

    with mock.patch.object(module, name, run):
        yield
