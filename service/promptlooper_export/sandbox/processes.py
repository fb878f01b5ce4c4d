"""What Linux does for the sandbox: adopting orphans, and keeping memory private."""

import ctypes
import os
import signal
import sys
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

# linux/prctl.h
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (on Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Keep other processes of this user from reading this one's memory (on Linux).

    Nor can they read the environment that it was started with, which has the secrets.
    It leaves no core file, and only root can attach a debugger to it. Processes that it
    forks are hidden as well; programs that it starts are not.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def kill_children(besides: AbstractSet[int] = frozenset()) -> None:
    """Kill all children but some, and what they leave behind, and wait for their ends.

    Whoever calls it has adopted orphans: children of a killed one become its own.
    """
    while children := _children() - besides:
        for child in children:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> set[int]:
    """Return the children of this process, which has one thread; none if unknown."""
    try:
        text = Path("/proc/thread-self/children").read_text(encoding="ascii")
    except OSError:  # not on Linux, or not compiled in
        return set()
    return set(map(int, text.split()))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
