"""Write log records to stderr, one event per line, as text or JSON."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from promptlooper_export.events import Event
from promptlooper_export.redaction import redact_text
from promptlooper_export.schemas import timestamp

# Characters that could end a line, move a terminal's cursor or reverse its text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def configure(log_format: str) -> None:
    """Send every record of level INFO and above to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[log_format]())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


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
