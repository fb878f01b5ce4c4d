"""Export two experiments in a process whose memory is bounded after the first one."""

import resource
import sys
from pathlib import Path
from uuid import UUID

from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.registry import discover
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

url, name, small, large, more = sys.argv[1:]
store = open_store(url)
format_ = discover().formats[name]


def length(experiment: str) -> int:
    """Return how many bytes the export has."""
    with export(
        store, OPERATOR, UUID(experiment), format_, {},
        selection=Selection(), limits=Limits(spool_bytes=1 << 40),
    ) as body:  # fmt: skip
        return body.length


# What is imported and compiled at the first use is no part of what a stream takes.
length(small)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(more)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
length(large)
