"""The page and the chart of performance, made from what the benches wrote."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent.parent / "bench"

HEAD = """\
# Performance

<!-- Written by `make docs` from bench/results.json. -->

Each case is measured in turn with a reference, in the same run: times of one machine
say little about another, but their ratio does. Below 1, we take less than the
reference. Times are medians; CPU is that of all processes; memory is the peak of the
largest process, Python included.
"""

CHART = """\
![CPU time as a multiple of the reference's](images/performance.svg)
"""

PARTS = {
    "runs": """\
## All runs

An export of all runs, spooled, with its digest, secrets and unreadable values looked
for. The plainest writer writes the same fields from the driver's rows with `json`,
`csv` or `pyarrow`, and checks nothing.
""",
    "peers": """\
## Other tools

The same data in each tool's own database, written as CSV. Optuna and MLflow are called
in a process that has imported them already; Datasette serves a table that has exactly
the columns of our CSV, so it has nothing to join, and checks nothing.
""",
    "latency": """\
## Answers over HTTP

The winner, unchanged since the last request. The least answer is a constant body from
Flask and gunicorn, after a verified token and one statement on an open connection. CPU
is the servers' alone.
""",
    "winner": """\
## The winner

Called in the process. Reading all runs is what a web framework with an ORM does:
load each run with its scores, and weigh them in Python. The bare statement finds the
winner in the database's own arithmetic. After each change, nothing is cached.
""",
    "reports": """\
## Reports

The scan reads each score once and does nothing with it.
""",
    "importing": """\
## Importing

A study of Optuna, against the plainest reading of its tables, which holds everything
in memory and checks nothing; then also against writing it to one table.
""",
    "starting": """\
## Starting

""",
    "indexes": """\
## Indexes

How long a request takes without an index, as a multiple of its time with all of them;
see [the runner's database](runner-database.md#indexes).
""",
    "commits": """\
## A runner's commits meanwhile

How long commits to SQLite take while exports run without a pause.
""",
}
"""The parts of the page, and what is said of each."""

CHARTED = ("runs", "peers", "latency", "winner", "reports", "importing", "starting")

INSTRUCTIONS = """\
## Instructions

Times are too uneven to guard the code with. `make instructions`, which is part of
`.ci/run`, has callgrind count the instructions of the hot paths, as multiples of those
of the plainest ndjson writer in the same process. It fails if one takes {tolerance:.0%}
more than expected; `python bench/instructions.py --write` and `make docs` set what is
expected to what was counted.

"""

AGAIN = """\
## Measure again

`make bench` takes about half an hour and writes `bench/results.json` and
this page. `make bench RUNS=20000` is shorter, and `python bench --help` shows how to
measure a part. Optuna, MLflow and Datasette are no requirements of this project: give
each an environment of its own, and name its Python.

```sh
python3 -m venv /tmp/optuna && /tmp/optuna/bin/pip install optuna pandas
BENCH_OPTUNA=/tmp/optuna/bin/python make bench  # or BENCH_MLFLOW, BENCH_DATASETTE
```
"""

Results = Mapping[str, Any]


def read(name: str) -> Results:
    """Return a document that the benches wrote."""
    found: Results = json.loads((BENCH / name).read_text(encoding="utf-8"))
    return found


def page(results: Results, instructions: Results) -> Iterator[str]:
    """Yield the page."""
    yield HEAD
    yield from _conditions(results)
    yield f"\n{CHART}"
    for name, text in PARTS.items():
        if rows := results["parts"].get(name):
            yield f"\n{text.rstrip()}\n\n"
            yield from _table(rows)
    yield f"\n{INSTRUCTIONS.format(**instructions)}"
    for version, ratios in instructions["expected"].items():
        yield f"| Python {version} | Instructions |\n| --- | --- |\n"
        for name, ratio in ratios.items():
            yield f"| {name} | {ratio:.2f} |\n"
    yield f"\n{AGAIN}"


def _conditions(results: Results) -> Iterator[str]:
    machine = results["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in results["versions"].items())
    yield (
        f"\nMeasured on {results['date'][:10]}: {results['database']}; "
        f"{machine['cores']} cores, {machine['processor']}, {machine['system']};\n"
        f"{versions}.\n"
    )
    if machine["load"] > machine["cores"]:
        yield (
            f"\n**The machine was busy with other work**: {machine['load']} processes "
            "at a time wanted\na processor. Rely on CPU rather than on time.\n"
        )


def _table(rows: Sequence[Results]) -> Iterator[str]:
    yield "| Case | Reference | Time | CPU | Ours, theirs | Memory |\n"
    yield "| --- | --- | --- | --- | --- | --- |\n"
    for row in rows:
        case = f"{row['case']} ({row['note']})" if row["note"] else row["case"]
        cells = (
            case,
            row["reference"],
            _times(row["ratio"]),
            _times(row["cpu_ratio"]),
            _pair(row, _taken, _duration),
            _pair(row, lambda cost: cost["peak_bytes"], _mebibytes),
        )
        yield f"| {' | '.join(cells)} |\n"


def _pair(
    row: Results,
    pick: Callable[[Results], float | None],
    write: Callable[[float], str],
) -> str:
    pair = [pick(row[side]) for side in ("ours", "theirs")]
    return ", ".join(write(value) for value in pair if value is not None)


def _taken(cost: Results) -> float | None:
    """Return the seconds of the processors, or of the clock if those are unknown."""
    cpu: float | None = cost["cpu_seconds"]
    return cost["seconds"] if cpu is None else cpu


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _mebibytes(size: float) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def _times(ratio: float | None) -> str:
    """Return a ratio as a multiple, or as a fraction if it is small."""
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"1/{1 / ratio:,.0f}"  # noqa: PLR2004


LABELS, BARS, LINE = 360, 400, 20
"""Pixels: the width of the labels and of the bars, and the height of a row."""

FURTHEST = -2
"""Where bars end whose ratio is less than 1/100, so that others are not too short."""


def chart(results: Results) -> Iterator[str]:
    """Yield the ratios of CPU time as bars from 1, on a logarithmic axis."""
    bars = [
        (f"{row['case']} / {row['reference']}", row["cpu_ratio"])
        for part in CHARTED
        for row in results["parts"].get(part, ())
        if row["cpu_ratio"]
    ]
    places = [max(math.log10(ratio), FURTHEST) for _, ratio in bars]
    low, high = min(*places, 0), max(*places, 0)

    def across(place: float) -> float:
        return LABELS + BARS * (place - low) / (high - low)

    width, height = LABELS + BARS + 60, LINE * (len(bars) + 1)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
    )
    for row, ((label, ratio), place) in enumerate(zip(bars, places, strict=True)):
        top = LINE * row + 6
        start, end = sorted((across(0), across(place)))
        color = "#2f6f4f" if ratio <= 1 else "#b4602c"
        yield (
            f'<text x="{LABELS - 8}" y="{top + 11}" text-anchor="end">'
            f"{escape(label)}</text>\n"
            f'<rect x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="14" '
            f'fill="{color}"/>\n'
            f'<text x="{end + 4:.1f}" y="{top + 11}">{_times(ratio)}</text>\n'
        )
    yield (
        f'<line x1="{across(0):.1f}" x2="{across(0):.1f}" y1="0" y2="{height}" '
        'stroke="#333"/>\n</svg>\n'
    )
