"""The log of requests: who asked for what, what was sent, and how it ended.

A request is logged when it is over: its body was sent, or the client has left. Until
then, whoever runs the application may keep what is known of it: if the process dies, it
can still be said whose request that was.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import request

from promptlooper_export.events import RequestServed

logger = logging.getLogger(__name__)

NOTE = "promptlooper_export.note"
"""The key in the WSGI environment of a function that keeps a text, if there is one."""

_ENTRY = "promptlooper_export.entry"
_KEPT = 200  # characters of each value in a note, which must be short


class Logged:
    """The application, which logs each request when it is over."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request."""
        entry = environ[_ENTRY] = Entry(environ.get(NOTE))
        return Sending(self._app(environ, start_response), entry)


def remember(**known: str | int | None) -> None:
    """Add what is known of the request, under the names of RequestServed."""
    entry: Entry = request.environ[_ENTRY]
    entry.add(known)


class Entry:
    """What is known of a request."""

    def __init__(self, note: Callable[[str], None] | None) -> None:
        self._note = note
        self._started = time.perf_counter()
        self._known: dict[str, Any] = {}
        self._members: list[str] = []

    def add(self, known: dict[str, str | int | None]) -> None:
        """Remember values, and note them for the case that the process dies."""
        self._known |= known
        if self._note is not None:
            cut = {
                name: value[:_KEPT] if isinstance(value, str) else value
                for name, value in known.items()
            }
            # Each value is written once, though this is done several times a request.
            self._members.append(json.dumps(cut)[1:-1])
            self._note(f"{{{', '.join(self._members)}}}")

    def log(self, *, sent: int, outcome: str) -> None:
        """Log the request, which is over."""
        seconds = round(time.perf_counter() - self._started, 6)
        logger.info(
            RequestServed(**self._known, bytes=sent, seconds=seconds, outcome=outcome)
        )


class Sending:
    """A body on its way; counts the bytes that the server has taken."""

    def __init__(self, body: Iterable[bytes], entry: Entry) -> None:
        self._body = body
        self._entry = entry
        self._sent = 0
        self._outcome = "aborted"
        self._is_logged = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body; whoever asks for the next piece has sent the last one."""
        self._outcome = "failed"  # which stays if the body raises
        for piece in self._body:
            self._outcome = "aborted"
            yield piece
            self._sent += len(piece)
            self._outcome = "failed"
        self._outcome = "complete"
        self._log()

    def close(self) -> None:
        """Close the body; servers call this whatever happened."""
        if hasattr(self._body, "close"):
            self._body.close()
        if not self._is_logged:
            self._log()

    def _log(self) -> None:
        self._is_logged = True
        self._entry.log(sent=self._sent, outcome=self._outcome)
