"""The service's end of the sandbox: it starts processes and talks with them."""

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from threading import Lock
from weakref import finalize

from promptlooper_export.sandbox import frames
from promptlooper_export.sandbox.processes import hide_memory

ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")
"""All that a rendering sees of the service's environment: no secrets."""

_AT_ONCE = 1 << 16


class Sandbox:
    """Makes processes for third-party code, through one that it starts when needed.

    Forking this process would be unsafe, since it has threads, and starting Python for
    each rendering takes ten times as long.
    """

    def __init__(self, *, seconds: float = math.inf) -> None:
        """Give each process `seconds` at most."""
        self._seconds = seconds
        self._lock = Lock()
        self._owner: int | None = None
        self._control: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @contextmanager
    def channel(self) -> Iterator[socket.socket]:
        """Open a channel to a new process, which is killed at the end of the block."""
        ours, theirs = socket.socketpair()
        # However this process dies, the kernel closes `held`, and the fork server kills
        # the rendering.
        lease, held = os.pipe()
        try:
            self._hand_over(theirs.fileno(), lease)
        except BaseException:
            os.close(held)
            ours.close()
            raise
        finally:
            # The server has copies; ours would keep the channel open after its end.
            os.close(lease)
            theirs.close()
        with ours:
            try:
                yield ours
            finally:
                os.close(held)
                self._go_on()

    def exchange(
        self, channel: socket.socket, parcels: Iterator[bytes], *, deadline: float
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the frames that come through the channel until its other end closes.

        No more is taken from `parcels`, and no more received, than the other side keeps
        up with. `deadline` is a moment of time.monotonic(). Raises TimeoutError after
        it and FrameError for a frame that cannot be.
        """
        deadline = min(deadline, time.monotonic() + self._seconds)
        channel.settimeout(0)  # never blocks
        parcel = memoryview(b"")
        received = bytearray()
        # Both directions in one loop: if each side only wrote, both buffers would fill
        # up and both sides would wait forever.
        with DefaultSelector() as selector:
            selector.register(channel, EVENT_READ | EVENT_WRITE)
            while (remaining := deadline - time.monotonic()) > 0:
                ready = selector.select(None if math.isinf(remaining) else remaining)
                events = ready[0][1] if ready else 0
                if events & EVENT_WRITE:
                    parcel = parcel or memoryview(next(parcels, b""))
                    if not parcel:
                        # All is sent, and a writable socket would wake every select().
                        selector.modify(channel, EVENT_READ)
                    parcel = parcel[_send(channel, parcel) :]
                if events & EVENT_READ:
                    data = _receive(channel)
                    if not data:
                        return
                    received += data
                    yield from frames.complete(received)
        raise TimeoutError

    def _hand_over(self, *descriptors: int) -> None:
        with self._lock:
            control = self._control
            # After a fork, start another: a server ends only when every copy of its
            # control socket is closed.
            if control is None or self._owner != os.getpid():
                control = self._start()
            self._go_on()
            try:
                socket.send_fds(control, [b"."], descriptors)
            except ConnectionError:  # the process was killed
                socket.send_fds(self._start(), [b"."], descriptors)

    def _go_on(self) -> None:
        """Undo it if third-party code has stopped the server."""
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)

    def _start(self) -> socket.socket:
        hide_memory()
        control, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                # -P: no module comes from the current directory.
                [sys.executable, "-P", "-m", "promptlooper_export.sandbox.fork_server"],
                stdin=theirs.fileno(),
                # What a plugin prints must not get into an export on standard output.
                stdout=sys.__stderr__,
                env=_environment(),
                # Ctrl-C is for the service; the server ends with its control socket.
                start_new_session=True,
            )
        finalize(self, _stop, control, process)
        self._owner, self._control, self._server = os.getpid(), control, process
        return control


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    if tempfile.tempdir is not None:
        kept["TMPDIR"] = tempfile.tempdir
    # The same modules as in this process, wherever it found them.
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)}


def _stop(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Let the process end, and wait for that: it ends at once."""
    control.close()
    process.wait()


def _send(channel: socket.socket, parcel: memoryview) -> int:
    """Send some of a parcel; if the process reads no more, act as if all was sent."""
    try:
        return channel.send(parcel)
    except ConnectionError:
        # It may have ended without reading everything: its frames say how.
        return len(parcel)


def _receive(channel: socket.socket) -> bytes:
    """Receive some bytes; none if the process has ended."""
    try:
        return channel.recv(_AT_ONCE)
    except ConnectionError:
        # On Linux, closing a socket with unread input resets the connection.
        return b""
