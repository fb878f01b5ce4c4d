"""The service's end of the process that makes rendering processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import finalize

ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")
"""All that a rendering sees of the service's environment: no secrets."""


class Sandbox:
    """Makes processes for renderings, through one process that it starts when needed.

    Forking this process would be unsafe, since it has threads, and starting Python for
    each rendering takes ten times as long.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: int | None = None
        self._control: socket.socket | None = None

    @contextmanager
    def channel(self) -> Iterator[socket.socket]:
        """Open a channel to a new process, which is killed at the end of the block."""
        ours, theirs = socket.socketpair()
        lease, held = os.pipe()
        try:
            self._hand_over(theirs.fileno(), lease)
        except BaseException:
            os.close(held)
            ours.close()
            raise
        finally:
            os.close(lease)
            theirs.close()
        with ours:
            try:
                yield ours
            finally:
                os.close(held)

    def _hand_over(self, *descriptors: int) -> None:
        with self._lock:
            control = self._control
            if control is None or self._owner != os.getpid():  # before or after a fork
                control = self._start()
            try:
                socket.send_fds(control, [b"."], descriptors)
            except ConnectionError:  # the process was killed
                socket.send_fds(self._start(), [b"."], descriptors)

    def _start(self) -> socket.socket:
        control, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "promptlooper_export.sandbox.launcher"],
                stdin=theirs.fileno(),
                stdout=sys.__stderr__,
                env=_environment(),
                start_new_session=True,
            )
        finalize(self, _stop, control, process)
        self._owner, self._control = os.getpid(), control
        return control


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)}


def _stop(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Let the process end, and wait for that: it ends at once."""
    control.close()
    process.wait()
