"""gunicorn's worker, with the service's own answers to what is no good HTTP."""

import json
import socket
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from types import FrameType
from uuid import uuid4

from gunicorn.http import Request, errors
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from promptlooper_export.verdict import PROBLEM
from promptlooper_export.web.app import HEADERS
from promptlooper_export.web.delivery import digest_field

STATUSES: Mapping[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
"""What is not simply a bad request."""


class Worker(ThreadWorker):
    """Refuses with a problem document, and logs nothing of what was sent.

    gunicorn would answer in HTML, with 501 for a transfer coding that it does not know,
    and log the field that it cannot read, which may hold a token.
    """

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End at once, and leave the threads to the interpreter's exit.

        gunicorn's own would shut the pool down first, for which it waits forever where
        the signal came while a request was being handed to the pool.
        """
        super(ThreadWorker, self).handle_quit(sig, frame)

    def handle_error(
        self,
        req: Request | None,
        client: socket.socket,
        addr: str | int | tuple[str, int],
        exc: BaseException,
    ) -> None:
        """Answer, log and leave the connection to be closed."""
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
        identifier = uuid4().hex
        self.log.info("Refused request %s: %s", identifier, type(exc).__name__)
        try:
            write_nonblock(client, refusal(status, identifier))
        except OSError:
            self.log.debug("The client did not wait for its refusal.")


def refusal(status: HTTPStatus, identifier: str) -> bytes:
    """Write a whole answer with a problem document (RFC 9457, section 4.2.1)."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": "The request is no HTTP/1.1 that this service takes; send it anew.",
        "instance": f"urn:request:{identifier}",
    }
    body = json.dumps(document).encode()
    fields = {
        "Content-Type": PROBLEM,
        "Content-Length": str(len(body)),
        "Repr-Digest": digest_field(sha256(body).digest()),
        **HEADERS,
        "X-Request-ID": identifier,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
