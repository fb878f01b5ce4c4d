"""What a test must know about the processes of the machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def below(process: int) -> set[int]:
    """Return the processes that descend from this one, zombies among them."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # After the name in parentheses, which may hold anything: state, parent.
            _, _, rest = (entry / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(rest.split()[1]), set()).add(int(entry.name))
    found: set[int] = set()
    queue = [process]
    while queue:
        new = children.get(queue.pop(), set())
        found |= new
        queue.extend(new)
    return found


def exists(process: int) -> bool:
    """Return whether there is such a process, be it a zombie."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what has been set off already; the test's own time limit ends it."""
    while not condition():
        time.sleep(0.01)
