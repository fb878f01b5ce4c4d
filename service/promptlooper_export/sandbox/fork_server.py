"""The process that makes a process for each task of a third-party format.

It runs no code of a third party itself and has a single thread, so that it can fork at
any time. A rendering lives as long as its lease, a pipe whose other end the service
holds: once that is closed, for whatever reason, the rendering's process is killed.
"""

import json
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any, NoReturn

from promptlooper_export.documents import Notice, Run, Runs
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.format import Format, as_format
from promptlooper_export.sandbox import frames

ADDRESS_SPACE = 2 << 30
"""Bytes of memory that a rendering may ask for."""

# Cut so that either fits into one frame, even with every character escaped.
_TRACEBACK_SHOWN = 20_000
_MESSAGE_SHOWN = 10_000


class _InvalidFileError(Exception):
    """The file to read is cut off or invalid."""


def main() -> None:
    """Serve renderings until the service closes its end of standard input."""
    # Third-party code may read standard input: it gets /dev/null, not the channel.
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    processes: dict[int, int] = {}
    with DefaultSelector() as selector:
        selector.register(control, EVENT_READ)
        while True:
            for key, _ in selector.select():
                # Nobody writes to a lease: if it is readable, its other end is closed.
                if key.fileobj is not control:
                    selector.unregister(key.fd)
                    _end(key.fd, processes.pop(key.fd))
                    continue
                _, received, _, _ = socket.recv_fds(control, 1, 2)
                if not received:
                    # No rendering outlives the service, even if it was killed.
                    for lease, process in processes.items():
                        _end(lease, process)
                    return
                channel, lease = received
                processes[lease] = _begin(socket.socket(fileno=channel), control)
                selector.register(lease, EVENT_READ)


def _begin(channel: socket.socket, control: socket.socket) -> int:
    """Return the id of a new process that renders what comes through the channel."""
    process = os.fork()
    if process == 0:
        control.close()  # or the service would not notice that its server was killed
        os.setpgid(0, 0)
        _render(channel)
    channel.close()
    # Both sides set the group, so that it exists whichever of them runs first. Here it
    # fails if the child has already started another program.
    with suppress(OSError):
        os.setpgid(process, process)
    return process


def _end(lease: int, process: int) -> None:
    """Kill a process with all that it started in its group."""
    os.close(lease)
    with suppress(OSError):
        os.killpg(process, signal.SIGKILL)
    # It may have left its group. It is not reaped yet, so the id is still its own.
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


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
    place, task, subject, options = pickle.load(source)  # noqa: S301
    point = EntryPoint(name="", value=place, group="")
    format: Format[Any] = as_format(point.load())
    if task == frames.READ:
        yield _read(format, subject, options)
        return
    if isinstance(subject, Runs):
        warnings = list(subject.warnings)
        rows = _rows(source, warnings)
        subject = replace(subject, rows=rows, warnings=warnings)
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


def _rows(source: IO[bytes], warnings: list[Notice]) -> Iterator[Run]:
    """Yield the rows as they come; the warnings are complete after the last one."""
    # An empty batch ends the rows.
    while batch := pickle.load(source):  # noqa: S301
        yield from batch
    warnings[:] = pickle.load(source)  # noqa: S301


def _send(sink: IO[bytes], piece: bytes | Notice) -> None:
    if isinstance(piece, Notice):
        frames.write_members(sink, frames.NOTICE, vars(piece))
        return
    for start in range(0, len(piece), frames.LARGEST):
        frames.write(sink, frames.PIECE, piece[start : start + frames.LARGEST])


if __name__ == "__main__":
    main()
