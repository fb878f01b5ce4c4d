"""A program that dies in the middle of a transaction on a SQLite file."""

import subprocess
import sys
from pathlib import Path

# The cache is small, so that changes are in the file, or its log, before the end.
SCRIPT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN")
connection.execute(sys.argv[2])
connection.execute("CREATE TABLE more AS SELECT randomblob(100000)")
print(flush=True)
sys.stdin.read()
"""


def die_after(change: str, file: Path) -> None:
    """Run a statement in another process, which is killed before it commits."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(file), change],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"\n"
        running.kill()
