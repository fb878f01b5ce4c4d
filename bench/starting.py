"""What starting takes, in the processor's time."""

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from timing import Cost, Row

ROUNDS = 7
BIN = Path(sys.executable).parent

IMPORT = "import promptlooper_export.web.app"

LIBRARIES = f"""
{IMPORT}
import sys
print([name for name in sys.modules if not name.startswith("promptlooper")])
"""
"""Prints what the application imports besides itself."""


def measure() -> Iterator[Row]:
    """Compare the command line with flask's, and the application with its libraries."""
    commands = ("promptlooper-export", "flask")
    ours, flask = _in_turn(*([str(BIN / name), "--help"] for name in commands))
    yield Row(
        case="promptlooper-export --help",
        reference="flask --help",
        ours=Cost(cpu_seconds=ours),
        theirs=Cost(cpu_seconds=flask),
    )
    python = (sys.executable, "-c")
    names = subprocess.check_output([*python, LIBRARIES], text=True).strip()
    import_all = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    ours, libraries = _in_turn([*python, IMPORT], [*python, import_all])
    yield Row(
        case="import of the application",
        reference="its libraries",
        ours=Cost(cpu_seconds=ours),
        theirs=Cost(cpu_seconds=libraries),
    )


def _in_turn(first: Sequence[str], second: Sequence[str]) -> tuple[float, float]:
    """Run two commands in turn; return the median seconds of each."""
    rounds = [(_seconds(first), _seconds(second)) for _ in range(ROUNDS)]
    return median(one for one, _ in rounds), median(other for _, other in rounds)


def _seconds(command: Sequence[str]) -> float:
    before = _taken()
    # Where flask finds no application, which it would import.
    subprocess.run(command, check=True, cwd=BIN, capture_output=True)
    return _taken() - before


def _taken() -> float:
    """Return the processor's seconds of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
