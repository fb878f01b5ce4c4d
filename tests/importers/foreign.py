"""Files of other tools, what a person sees of them once they are imported, and copies.

Large files are kept packed.
"""

import json
import lzma
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from click.testing import Result

from cli.console import run_here
from promptlooper_export.store.migrate import migrate

DATA = Path(__file__).parents[1] / "data" / "importers"

Run = Mapping[str, Any]


def unpacked(packed: Path, folder: Path) -> Path:
    """Unpack a file into a folder, under its name without `.xz`."""
    path = folder / packed.stem
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return path


def imported(source: object, folder: Path) -> str:
    """Import a source into a new database; return its URL."""
    url = f"sqlite:///{folder}/imported.db"
    migrate(url, create=True)
    done = run_here("import", str(source), url=url)
    assert done.exit_code == 0, done.stderr
    return url


def lines(url: str, name: str) -> tuple[Run, dict[str, Run]]:
    """Export an experiment as an interchange file; return it and its runs by name."""
    arguments = ("-f", "ndjson", "-O", "header=1", "-o", "-", "--unredacted")
    done = run_here("export", name, *arguments, url=url)
    first, *runs = map(json.loads, done.stdout.splitlines())
    return first, {run["name"]: run for run in runs}


def whole(url: str, names: Iterable[str]) -> list[bytes]:
    """Export experiments with all that is known of them, byte by byte the same."""
    arguments = ("-f", "ndjson", "-O", "header=1", "-o", "-", "--reproducible")
    return [
        run_here("export", name, *arguments, url=url).stdout_bytes for name in names
    ]


def report(url: str, name: str) -> Run:
    """Export the report of an experiment."""
    done = run_here("export", name, "-f", "report-json", "-o", "-", url=url)
    held: Run = json.loads(done.stdout)
    return held


def refused(source: Path, folder: Path) -> str:
    """Import a source that is not whole; return the one line that says so."""
    url = f"sqlite:///{folder}/refused.db"
    migrate(url, create=True)
    done = run_here("import", str(source), url=url)
    assert done.exit_code == 1
    assert listed(url) == []
    said = done.stderr.splitlines()
    assert all(line.startswith("warning: ") for line in said[:-1])
    return said[-1]


def listed(url: str) -> list[Run]:
    """Return what `list` says of the experiments of a database."""
    done: Result = run_here("list", "--json", url=url)
    found: list[Run] = json.loads(done.stdout)
    return found


def to_postgresql(path: Path, url: str, tables: Iterable[str]) -> None:
    """Copy tables of an SQLite file as they are declared."""
    with closing(sqlite3.connect(path)) as file, psycopg.connect(url) as connection:
        for table in tables:
            ((declared,),) = file.execute(
                "SELECT sql FROM sqlite_master WHERE name = ?", [table]
            ).fetchall()
            declared = declared.replace("DATETIME", "TIMESTAMP")
            connection.execute(declared.replace("IN (0, 1)", "IN (false, true)"))
            copying = connection.cursor().copy(f"COPY {table} FROM STDIN")
            with copying as copy:
                for row in file.execute(f"SELECT * FROM {table}"):
                    copy.write_row(row)
