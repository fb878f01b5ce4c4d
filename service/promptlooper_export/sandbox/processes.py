"""What Linux does for the sandbox: adopting orphans, and keeping processes apart."""

import ctypes
import os
import signal
import sys
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

# linux/landlock.h; these calls have the same numbers on every architecture.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_SCOPE_SIGNAL = 1 << 1


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


def end_with_parent() -> None:
    """Be killed when the parent ends (on Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def keep_signals_inside() -> bool:
    """Allow this process and its descendants to signal only one another, for good.

    Return whether the kernel does that: Linux from 6.12, with Landlock.
    """
    if sys.platform != "linux":
        return False
    # Only what cannot gain privileges may restrict itself without having any.
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # File and network accesses that are handled: none; then what is scoped.
    rules = (ctypes.c_uint64 * 3)(0, 0, _LANDLOCK_SCOPE_SIGNAL)
    libc = ctypes.CDLL(None)
    size = ctypes.c_size_t(ctypes.sizeof(rules))
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, rules, size, 0)
    if ruleset < 0:
        return False
    restricted: int = libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return restricted == 0


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
