"""How many instructions the hot paths take: `python bench/instructions.py [--write]`.

Unlike time, that hardly depends on what else the machine does: valgrind's callgrind
counts them one by one. Each path is compared with the plainest writer, in the same
process: a build of Python, or of a library, that takes more or fewer instructions for
everything leaves the ratios nearly alone. Counts of the same code differed by up
to 2 %.

Exits with 1 if a ratio is more than the tolerance above the one in `instructions.json`.
Where callgrind runs but does not answer, it says so and exits with 0.
--write replaces those by what was counted.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which

HERE = Path(__file__).parent
EXPECTED = HERE / "instructions.json"

SECONDS = 60
"""After which callgrind does not answer, as if ptrace were forbidden in a container."""

TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def count() -> Mapping[str, float]:
    """Return how many times the plainest writer's instructions each path takes."""
    with tempfile.TemporaryDirectory() as folder, _watched(Path(folder)) as process:
        names = json.loads(_line(process))
        _control("--instr=on", process)
        counts = {}
        for name in names:
            # First without what is only done once.
            for _ in range(2):
                print(name, file=process.stdin, flush=True)
                _line(process)
                counts[name] = _dump(process, Path(folder))
    reference, *_ = counts.values()
    return {name: round(counts[name] / reference, 3) for name in names[1:]}


@contextmanager
def _watched(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no",
        f"--callgrind-out-file={folder}/counts",
        sys.executable, str(HERE / "hot_paths.py"),
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        # Texts hash alike each time, so that sets and dicts take the same steps.
        env=os.environ | {"PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process


def _line(process: "subprocess.Popen[str]") -> str:
    if process.stdout is None or not (line := process.stdout.readline()):
        sys.exit("bench/hot_paths.py ended: run it without valgrind to see why")
    return line


def _control(option: str, process: "subprocess.Popen[str]") -> None:
    command = ["callgrind_control", option, str(process.pid)]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)


def _dump(process: "subprocess.Popen[str]", folder: Path) -> int:
    """Return the instructions since the last dump."""
    _control("--dump", process)
    [file] = folder.glob("counts.*")
    found = TOTAL.search(file.read_text(encoding="utf-8"))
    file.unlink()
    if found is None:
        sys.exit("callgrind wrote no total")
    return int(found[1])


def check(
    counted: Mapping[str, float], expected: Mapping[str, float], tolerance: float
) -> bool:
    """Print each ratio beside the expected one; return whether all are good."""
    good = True
    for name, ratio in counted.items():
        change = ratio / expected[name] - 1
        verdict = "" if change <= tolerance else "too many"
        good = good and not verdict
        print(f"{name:<13} x{ratio} after x{expected[name]}, {change:+.1%} {verdict}")
    return good


def main(arguments: Sequence[str]) -> int:
    """Count, and compare or write; return the exit code."""
    if which("valgrind") is None:
        print(
            "valgrind counts the instructions: apt-get install valgrind",
            file=sys.stderr,
        )
        return 1
    try:
        counted = count()
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        # As in a container where ptrace is forbidden: nothing can be said there.
        print(f"callgrind cannot be asked here, nothing is compared: {error}")
        return 0
    document = json.loads(EXPECTED.read_text(encoding="utf-8"))
    by_version = document["expected"]
    if "--write" in arguments:
        by_version[VERSION] = counted
        text = json.dumps(document, indent=1)
        EXPECTED.write_text(f"{text}\n", encoding="utf-8")
    if VERSION not in by_version:
        print(f"Nothing is expected of Python {VERSION} yet: {counted}")
        return 0
    return 0 if check(counted, by_version[VERSION], document["tolerance"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
