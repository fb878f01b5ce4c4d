"""The process that makes a process for each task of a third-party format.

It runs no code of a third party itself and has a single thread, so that it can fork at
any time. Each rendering has a keeper: a process between this one and the rendering,
which adopts whatever the rendering leaves behind, in whatever session, and passes on a
bounded part of what it prints. A rendering lives as long as its lease, a pipe whose
other end the service holds: once that is closed, for whatever reason, the keeper kills
all that the rendering has started, and ends.

Before Linux 6.12, third-party code can send signals to all of them. A stopped process
goes on when the next lease begins or ends; a killed keeper leaves its children to this
process, which kills them; keepers go on without this process; and a rendering ends with
its keeper.
"""

import json
import math
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any, NoReturn

from promptlooper_export.documents import Notice, Runs
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.format import Format, as_format
from promptlooper_export.runs import RunBatch
from promptlooper_export.sandbox import frames, processes
from promptlooper_export.sandbox.parcels import unpack

ADDRESS_SPACE = 2 << 30
"""Bytes of memory that a rendering may ask for."""

PRINTED = 1 << 16
"""Bytes of a rendering's output that reach the service's stderr."""

SECONDS_TO_END = 1.0
"""How long a keeper may take to end a rendering before it is killed itself."""

_CUT = b"\n[a format printed more than is shown]\n"

# Cut so that either fits into one frame, even with every character escaped.
_TRACEBACK_SHOWN = 20_000
_MESSAGE_SHOWN = 10_000


class _InvalidFileError(Exception):
    """The file to read is cut off or invalid."""


@dataclass(kw_only=True)
class _Keeper:
    """A keeper's process, a pipe that is closed when it ends, and when that is due."""

    process: int
    ended: int
    due: float = math.inf


def main() -> None:
    """Serve renderings until the service closes its end of standard input."""
    # Third-party code may read standard input: it gets /dev/null, not the channel.
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    processes.adopt_orphans()
    keepers: dict[int, _Keeper] = {}
    with DefaultSelector() as selector:
        selector.register(control, EVENT_READ)
        while True:
            for key, _ in selector.select(_until_overdue(keepers.values())):
                if key.fileobj is not control:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _look_after(keepers, key.data, key.fd)
                    continue
                _, received, _, _ = socket.recv_fds(control, 1, 2)
                if not received:
                    # The service has ended and its leases with it: keepers see to it.
                    return
                channel, lease = received
                keeper = _begin(channel, lease, control)
                keepers[keeper.process] = keeper
                selector.register(lease, EVENT_READ, keeper)
                selector.register(keeper.ended, EVENT_READ, keeper)
            for keeper in keepers.values():
                if keeper.due < time.monotonic():
                    os.kill(keeper.process, signal.SIGKILL)


def _until_overdue(keepers: Iterable[_Keeper]) -> float | None:
    """Return the seconds until a keeper should have ended."""
    due = min((keeper.due for keeper in keepers), default=math.inf)
    return None if math.isinf(due) else max(0.01, due - time.monotonic())


def _look_after(keepers: dict[int, _Keeper], keeper: _Keeper, closed: int) -> None:
    """See that nothing of a rendering stays; its lease or its keeper has ended."""
    if closed != keeper.ended:
        if keeper.process in keepers:
            # Third-party code may have stopped the keeper, or do it again.
            os.kill(keeper.process, signal.SIGCONT)
            keeper.due = time.monotonic() + SECONDS_TO_END
        return
    os.waitpid(keeper.process, 0)
    del keepers[keeper.process]
    # What a killed keeper leaves has become ours.
    processes.kill_children(besides=keepers.keys())


def _begin(channel: int, lease: int, control: socket.socket) -> _Keeper:
    """Start a keeper with a rendering."""
    ended, held = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        control.close()  # or the service would not notice that its server was killed
        os.close(ended)
        os.setpgid(0, 0)  # a signal to its group hits no other keeper
        _keep(channel, lease, held)
    os.close(channel)
    os.close(held)
    return _Keeper(process=keeper, ended=ended)


def _keep(channel: int, lease: int, held: int) -> NoReturn:
    """Start a rendering, pass on what it prints, and end it with its lease."""
    try:
        processes.adopt_orphans()
        printed, printing = os.pipe()
        rendering = os.fork()
        if rendering == 0:
            for descriptor in (lease, held, printed):
                os.close(descriptor)
            # What a plugin prints must not get into an export on standard output.
            for standard in (1, 2):
                os.dup2(printing, standard)
            os.close(printing)
            os.setpgid(0, 0)
            processes.end_with_parent()
            processes.keep_signals_inside()
            _render(socket.socket(fileno=channel))
        os.close(channel)
        os.close(printing)
        left = _pass_on(printed, until=lease)
        # Its group first, since systems other than Linux do not list children.
        with suppress(OSError):
            os.killpg(rendering, signal.SIGKILL)
        with suppress(OSError):
            os.kill(rendering, signal.SIGKILL)
        processes.kill_children()
        os.set_blocking(printed, False)
        with suppress(BlockingIOError):
            _print(os.read(printed, PRINTED)[:left])
    finally:
        os._exit(0)


def _pass_on(printed: int, *, until: int) -> int:
    """Copy what is printed to stderr until the lease ends; return how much may follow.

    Of more than PRINTED bytes, the rest is read as well, or the rendering would wait.
    """
    left = PRINTED
    with DefaultSelector() as selector:
        selector.register(until, EVENT_READ)
        selector.register(printed, EVENT_READ)
        # Nobody writes to a lease: if it is readable, its other end is closed.
        while all(key.fd != until for key, _ in selector.select()):
            text = os.read(printed, select.PIPE_BUF)
            if not text:
                selector.unregister(printed)
            elif left > 0:
                _print(text if len(text) < left else _CUT)
                left -= len(text)
    return max(left, 0)


def _print(text: bytes) -> None:
    """Write to stderr if somebody reads it: the keeper must not wait."""
    with suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, text)


def _render(channel: socket.socket) -> NoReturn:
    """Render, tell how it went, and end this process whatever else it has running."""
    with channel.makefile("rb") as source, channel.makefile("wb") as sink:
        try:
            _limit()
            for piece in _pieces(source):
                _send(sink, piece)
            frames.write(sink, frames.END)
        except UnrepresentableError as error:
            paths = error.members["paths"]
            members = {"detail": error.detail, "paths": paths}
            frames.write_members(sink, frames.REFUSAL, members)
        except _InvalidFileError as error:
            message = str(error)[:_MESSAGE_SHOWN].encode(errors="backslashreplace")
            frames.write(sink, frames.INVALID, message)
        except BaseException as error:  # noqa: BLE001  even SystemExit is a failure
            text = traceback.format_exc()[-_TRACEBACK_SHOWN:]
            members = {"kind": type(error).__name__, "traceback": text}
            frames.write_members(sink, frames.FAILURE, members)
        finally:
            try:
                sink.flush()
            finally:
                # Skip exit handlers and threads that third-party code may have left.
                os._exit(0)


def _limit() -> None:
    """Bound the memory, write no core file, and be the first that the kernel kills."""
    # A core file would keep the exported document on disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        # RLIM_INFINITY is negative; a lower hard limit cannot be raised.
        bound = ADDRESS_SPACE if hard < 0 else min(ADDRESS_SPACE, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        with suppress(OSError):  # if /proc cannot be written, the bound must do
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _pieces(source: IO[bytes]) -> Iterator[bytes | Notice]:
    """Do what `source` asks for: render a document, or read a file as JSON."""
    # The service wrote it. The other way, nothing is unpickled: see frames.
    place, task, subject, options = unpack(source)
    point = EntryPoint(name="", value=place, group="")
    format: Format[Any] = as_format(point.load())
    if task == frames.READ:
        yield _read(format, subject, options)
        return
    if isinstance(subject, Runs):
        warnings = list(subject.warnings)
        batches = _batches(source, warnings)
        subject = replace(subject, batches=batches, warnings=warnings)
    yield from format.stream(subject, options)


def _read(
    format: Format[Any],
    data: bytes,
    options: Mapping[str, Any],
) -> bytes:
    try:
        config = format.parse(data, options)
    except ValueError as error:
        raise _InvalidFileError(str(error)) from error
    # As JSON: the service must not unpickle what third-party code made.
    return json.dumps(dict(config)).encode()


def _batches(source: IO[bytes], warnings: list[Notice]) -> Iterator[RunBatch]:
    """Yield the runs as they come; the warnings are complete after the last one."""
    # An empty batch ends them.
    while batch := unpack(source):
        yield batch
    warnings[:] = unpack(source)


def _send(sink: IO[bytes], piece: bytes | Notice) -> None:
    if isinstance(piece, Notice):
        frames.write_members(sink, frames.NOTICE, vars(piece))
        return
    for start in range(0, len(piece), frames.LARGEST):
        frames.write(sink, frames.PIECE, piece[start : start + frames.LARGEST])


if __name__ == "__main__":
    main()
