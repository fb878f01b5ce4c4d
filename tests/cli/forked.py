"""Run commands in forks of one process that has imported them.

Importing takes most of the time of a short command. A fork is the command all the
same: it has its own directory, environment and descriptors, and ends by itself.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib import import_module
from pathlib import Path

from promptlooper_export.cli import main
from promptlooper_export.registry import discover

HEAVY = ("psycopg", "pyarrow.parquet")


@cache
def _server() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.forked"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        # The locale is that of a command without any setting.
        env={"PATH": os.environ["PATH"]},
    )


def _umask() -> int:
    """Return the umask, which can only be read by setting it."""
    os.umask(mask := os.umask(0))
    return mask


def run(
    *arguments: str, stdin: bytes, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, as `subprocess.run` does."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, stream) for stream in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin)
        asked = {
            "arguments": arguments,
            "files": [str(path) for path in files],
            "cwd": str(cwd),
            "env": env,
            "umask": _umask(),
        }
        server.stdin.write(json.dumps(asked).encode() + b"\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        _, stdout, stderr = (
            path.read_bytes() if path.exists() else b"" for path in files
        )
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def _become(
    *, arguments: list[str], files: list[str], cwd: str, env: dict[str, str], umask: int
) -> None:
    os.umask(umask)
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for descriptor, (path, mode) in enumerate(zip(files, modes, strict=True)):
        opened = os.open(path, mode)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = ["promptlooper-export", *arguments]
    main.main()


def _serve() -> None:
    for name in HEAVY:
        import_module(name)
    for where, _ in main.COMMANDS.values():
        import_module(f"promptlooper_export.cli.{where.partition(':')[0]}")
    discover()
    # What is never looked at again is not copied into each fork.
    gc.freeze()
    for line in sys.stdin.buffer:
        if not (child := os.fork()):
            _become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
