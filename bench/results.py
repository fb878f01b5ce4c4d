"""What the benches found: lines for people, and a document for programs."""

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from timing import Row

LIBRARIES = ("promptlooper-export", "flask", "gunicorn", "peewee", "pyarrow")


def document(
    parts: Mapping[str, Sequence[Row]], *, sizes: Mapping[str, int], database: str
) -> dict[str, object]:
    """Return all that was measured, on what, and when. Times are in seconds."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            # How many processes wanted a processor in the last 15 minutes; the benches
            # themselves are one or two of them.
            "load": round(os.getloadavg()[2], 1),
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in LIBRARIES},
        },
        "database": database,
        "sizes": dict(sizes),
        "parts": {name: [*map(_row, rows)] for name, rows in parts.items()},
    }


def write(results: Mapping[str, object], path: Path) -> None:
    """Write a document."""
    path.write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")


def line(row: Row) -> str:
    """Return a comparison as a line."""
    ours, theirs = row.ours, row.theirs
    cells = [
        f"{word} x{measured / reference:.3g} "
        f"({measured * scale:.4g} / {reference * scale:.4g} {unit})"
        for word, measured, reference, scale, unit in (
            ("time", ours.seconds, theirs.seconds, 1e3, "ms"),
            ("cpu", ours.cpu_seconds, theirs.cpu_seconds, 1e3, "ms"),
            ("memory", ours.peak_bytes, theirs.peak_bytes, 1 / (1 << 20), "MiB"),
        )
        if measured is not None and reference
    ]
    return "  ".join([f"{f'{row.case} / {row.reference}':<55}", *cells, row.note])


def _row(row: Row) -> dict[str, object]:
    """Return a comparison with its ratios, of the clock's and the processors' time."""
    return {
        **asdict(row),
        "ratio": _ratio(row.ours.seconds, row.theirs.seconds),
        "cpu_ratio": _ratio(row.ours.cpu_seconds, row.theirs.cpu_seconds),
    }


def _ratio(measured: float | None, reference: float | None) -> float | None:
    return None if measured is None or not reference else measured / reference


def _processor() -> str:
    """Return the name of the processor, as far as Linux tells it."""
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.processor()
