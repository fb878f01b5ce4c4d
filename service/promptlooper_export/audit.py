"""The record of who received secrets: written before they are, or not at all.

It is a line on stderr among those of the log, in the same format. Unlike them, it does
not go through `logging`, which may keep lines back, and loses those that cannot be
written.
"""

import logging
import os
import select
import time

from promptlooper_export.errors import AuditUnavailableError
from promptlooper_export.events import SecretsExported
from promptlooper_export.logs import JsonFormatter, TextFormatter

SECONDS = 1.0
"""How long a full pipe may take to accept the line."""

_STDERR = 2
_ATOMIC = select.PIPE_BUF  # POSIX: a write of so many bytes is not mixed with others


def record_secrets(event: SecretsExported, *, log_format: str) -> None:
    """Write the event and return when the operating system has it.

    Raises AuditUnavailableError if the disk is full, nobody reads the pipe, or stderr
    is closed.
    """
    formatter = JsonFormatter() if log_format == "json" else TextFormatter()
    record = logging.LogRecord(
        __name__, logging.WARNING, __file__, 0, event, args=None, exc_info=None
    )
    line = memoryview(f"{formatter.format(record)}\n".encode(errors="replace"))
    deadline = time.monotonic() + SECONDS
    try:
        while line:
            if not _is_writable(deadline - time.monotonic()):
                raise AuditUnavailableError
            line = line[os.write(_STDERR, line[:_ATOMIC]) :]
    except OSError as error:
        raise AuditUnavailableError from error


def _is_writable(seconds: float) -> bool:
    """Wait until stderr takes some bytes; a pipe that nobody reads may never do."""
    # select() takes no descriptor above 1023, but 2 is far below.
    _, ready, _ = select.select([], [_STDERR], [], max(seconds, 0))
    return bool(ready)
