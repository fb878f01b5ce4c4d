"""CSV of all runs, against tools that people use today, with the same data.

Each tool is measured if a variable names the Python of an environment that has it; this
project does not depend on any of them:

    BENCH_OPTUNA=.../bin/python BENCH_MLFLOW=... BENCH_DATASETTE=... make bench
"""

import csv
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

import latency
from exports import Filled
from timing import EVERYTHING, LIMITS, Cost, Row, alternate, apart

from promptlooper_export.export import export
from promptlooper_export.registry import discover
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR

ROUNDS = 3
HERE = Path(__file__).parent

# Datasette's own command cannot be given a socket that listens already.
DATASETTE = """
import sys, uvicorn
from datasette.app import Datasette
app = Datasette([sys.argv[1]], settings=dict(max_csv_mb=0)).app()
uvicorn.run(app, fd=int(sys.argv[2]), timeout_keep_alive=60, log_level="warning")
"""

LIBRARIES = {"optuna": "trials_dataframe", "mlflow": "search_runs"}
"""Tools that are called, and what returns the table that they write."""


def measure(filled: Filled, few: int, many: int, folder: Path) -> Iterator[Row]:
    """Compare our CSV with that of each tool whose environment is named.

    MLflow takes minutes to load `few` runs; Datasette serves `many`.
    """
    url, experiment = filled.url, filled.experiments[few]
    for tool, what in LIBRARIES.items():
        if python := os.environ.get(f"BENCH_{tool.upper()}"):
            work = folder / tool
            work.mkdir()
            write(url, experiment, "ndjson", work / "runs.ndjson")
            run(python, tool, "load", work)
            with apart(*filled.exporting(few, "csv")) as ours:
                theirs = partial(run, python, tool, "export", work)
                measured, other = alternate(ours, theirs, ROUNDS)
            yield Row(
                case=f"csv of {few:,} runs",
                reference=f"{tool} {what} to CSV",
                ours=measured,
                theirs=other,
            )
    if python := os.environ.get("BENCH_DATASETTE"):
        file, experiment = folder / "datasette.db", filled.experiments[many]
        write(url, experiment, "csv", folder / "runs.csv")
        fill(file, folder / "runs.csv")
        measured, other = streams(url, experiment, python, file)
        yield Row(
            case=f"csv of {many:,} runs over HTTP",
            reference="Datasette's stream",
            ours=measured,
            theirs=other,
        )


def run(python: str, tool: str, what: str, folder: Path) -> Cost:
    """Have a tool load or export the runs; return what it took."""
    script = str(HERE / "other_tools.py")
    command = [python, script, tool, what, str(folder)]
    output = subprocess.check_output(command, cwd=folder, text=True)
    return Cost(**json.loads(output.splitlines()[-1]))


def write(url: str, experiment: UUID, name: str, file: Path) -> None:
    """Export all runs to a file."""
    chosen = discover().formats[name]
    with (
        closing(open_store(url)) as store,
        export(
            store,
            OPERATOR,
            experiment,
            chosen,
            {},
            selection=EVERYTHING,
            limits=LIMITS,
        ) as body,
    ):
        file.write_bytes(body.file.read())


def fill(file: Path, table: Path) -> None:
    """Write a database with a table that is as our CSV is, and ready to be sent."""
    with table.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    with closing(sqlite3.connect(file)) as database:
        columns = ", ".join(f'"{name}"' for name in header)
        database.execute(f"CREATE TABLE runs ({columns}, PRIMARY KEY (run_id))")
        marks = ", ".join("?" * len(header))
        database.executemany(f"INSERT INTO runs VALUES ({marks})", rows)
        database.commit()


def streams(url: str, experiment: UUID, python: str, file: Path) -> tuple[Cost, Cost]:
    """Ask our service and Datasette for the same rows, in turn."""
    with (
        latency.service(url) as (ours, bearer, _),
        latency.serving([python, "-c", DATASETTE, str(file), "{}"], {}) as theirs,
    ):
        stream = f"/{file.stem}/runs.csv?_stream=on&_size=max"
        return alternate(
            partial(
                ours.cost,
                f"/experiments/{experiment}/export?format=csv",
                bearer,
                200,
                requests=1,
            ),
            partial(theirs.cost, stream, {}, 200, requests=1),
            ROUNDS,
        )
