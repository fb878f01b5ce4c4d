"""Write log records to stderr, one event per line, as text or JSON.

A log that nobody reads stops nobody: lines that cannot be written wait, and what is
more than that is dropped and counted. A pipe can be written to without waiting; for
anything else, a thread waits.
"""

import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from queue import SimpleQueue
from select import PIPE_BUF
from threading import Event as Flag
from threading import Thread
from typing import IO

from promptlooper_export.events import Event, LogLinesDropped
from promptlooper_export.redaction import redact_text
from promptlooper_export.schemas import timestamp

# Characters that could end a line, move a terminal's cursor or reverse its text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def configure(log_format: str) -> None:
    """Send every record of level INFO and above to stderr, as `text` or `json`."""
    handler = StderrHandler()
    handler.setFormatter(_FORMATTERS[log_format]())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


WAITING = 1_000
"""Lines that wait to be written; any more are dropped."""

PATIENCE = 1.0
"""Seconds that one line is waited for; after that, none is until some are written."""

_STDERR = 2


class StderrHandler(logging.Handler):
    """Writes lines to stderr, those that must wait in a thread of its own.

    While the log is read, a line is written before emit() returns. Not through
    `sys.stderr`: a process that is forked while the thread holds its lock would wait
    for it forever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pipe = _open_pipe()
        self._begin()
        # Threads do not survive a fork, and the lines are written by the parent.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # gunicorn logs in handlers of signals, which SimpleQueue alone allows.
        self._lines: SimpleQueue[tuple[str, Flag]] = SimpleQueue()
        self._writer: Thread | None = None
        self._dropped = 0
        self._failed = 0
        self._told = 0
        self._is_stuck = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line at once, or hand it over and wait a little for the thread."""
        line = self.format(record)
        # Handing over takes longer than all else that a small answer does.
        if self._is_written_at_once(line):
            return
        if self._lines.qsize() >= WAITING:
            self._dropped += 1
            return
        if self._writer is None:
            self._writer = Thread(target=self._write, name="log", daemon=True)
            self._writer.start()
        written = Flag()
        self._lines.put((line, written))
        # Not again and again: each request would take that long.
        if not self._is_stuck:
            self._is_stuck = not written.wait(PATIENCE)

    def _is_written_at_once(self, line: str) -> bool:
        """Write the line unless it would have to wait, or lines before it do."""
        missing = self._dropped + self._failed - self._told
        if self._pipe is None or self._is_stuck or missing or self._lines.qsize():
            return False
        data = f"{line}\n".encode(errors="backslashreplace")
        # A pipe takes so much as a whole or not at all (POSIX, write()), so that lines
        # of several processes do not mix.
        if len(data) > PIPE_BUF:
            return False
        try:
            os.write(self._pipe, data)
        except OSError:  # it is full, or its reader has gone, which the thread counts
            return False
        return True

    def _write(self) -> None:
        """Write every line as it comes, and say how many were dropped before it."""
        with open(_STDERR, "wb", buffering=0, closefd=False) as stderr:
            while True:
                line, written = self._lines.get()
                dropped = self._dropped + self._failed
                missing = dropped - self._told
                lines = [self._dropped_line(missing)] if missing else []
                try:
                    _write_all(stderr, "".join(f"{one}\n" for one in [*lines, line]))
                except OSError:
                    # The disk is full, or the reader of the pipe has gone.
                    self._failed += 1
                else:
                    self._told = dropped
                self._is_stuck = False
                written.set()

    def _dropped_line(self, count: int) -> str:
        return self.format(
            logging.LogRecord(
                __name__,
                logging.ERROR,
                __file__,
                0,
                LogLinesDropped(lines=count),
                args=None,
                exc_info=None,
            )
        )


def _open_pipe() -> int | None:
    """Open stderr once more if it is a pipe, so that writing never waits; else None.

    The flag belongs to what was opened, and others write to stderr itself.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(_STDERR).st_mode):
            return None
        return os.open(f"/proc/self/fd/{_STDERR}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no stderr, no /proc, or a pipe of another user's
        return None


def _write_all(stderr: IO[bytes], text: str) -> None:
    rest = memoryview(text.encode(errors="backslashreplace"))
    while rest:
        rest = rest[stderr.write(rest) :]


class TextFormatter(logging.Formatter):
    """For people: time, level, logger, event; a traceback follows after a margin."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and another for each line of a traceback."""
        line = (
            f"{_moment(record)} {record.levelname} {record.name} {record.getMessage()}"
        )
        lines = [line, *_traceback(self, record)]
        # The margin keeps a message in the traceback from posing as another event.
        return "\n    | ".join(_UNSAFE.sub(_escape, line) for line in lines)


class JsonFormatter(logging.Formatter):
    """For machines: one object per line; the fields of an event are its members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        members: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, Event):
            members |= {"event": type(record.msg).__name__, **vars(record.msg)}
        else:
            members["message"] = record.getMessage()
        if traceback := _traceback(self, record):
            members["traceback"] = traceback
        return _UNSAFE.sub(_escape, json.dumps(members, default=str))


_FORMATTERS: Mapping[str, type[logging.Formatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
}


def _moment(record: logging.LogRecord) -> str:
    return timestamp(datetime.fromtimestamp(record.created, UTC))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if record.exc_info is None:
        return []
    # The message of an error may quote what was being exported.
    return redact_text(formatter.formatException(record.exc_info)).split("\n")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
