"""`promptlooper-export serve`, and what `demo` and `open` share with it: gunicorn."""

import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import Request, errors
from gunicorn.util import parse_address, write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from promptlooper_export import settings
from promptlooper_export.auth.keys import key_finder
from promptlooper_export.cli.garbage import collect_rarely
from promptlooper_export.cli.inflight import InFlight
from promptlooper_export.errors import SettingsError
from promptlooper_export.events import RequestLost
from promptlooper_export.export import use_directory
from promptlooper_export.logs import configure
from promptlooper_export.proof import PROBLEM
from promptlooper_export.settings import SYNC_REFUSED, Settings
from promptlooper_export.store.diagnosis import diagnose
from promptlooper_export.store.state import locate
from promptlooper_export.web.app import HEADERS, create_app
from promptlooper_export.web.authentication import MAXIMUM_BYTES
from promptlooper_export.web.delivery import digest_field
from promptlooper_export.web.invitation import Invitation
from promptlooper_export.web.requestlog import NOTE

logger = logging.getLogger(__name__)

ADMIN_THREADS = 8
"""How many requests each worker answers at once on the admin address."""

STATUSES: Mapping[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
"""Parse errors that have a more specific status than 400."""


class Worker(ThreadWorker):
    """A worker that refuses bad HTTP with a problem document and logs none of its text.

    gunicorn itself would answer in HTML, with 501 for an unknown transfer coding, and
    log the field that it cannot read, which may hold a token.
    """

    in_flight: InFlight

    def load_wsgi(self) -> None:
        """Load the application, and have it note what it is answering."""
        super().load_wsgi()
        app = self.wsgi

        def noted(
            environ: MutableMapping[str, Any], start_response: Callable[..., Any]
        ) -> Iterable[bytes]:
            environ[NOTE] = self.in_flight.note
            return app(environ, start_response)

        self.wsgi = noted

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """Answer a request, and forget it afterwards."""
        try:
            return super().handle_request(req, conn)
        finally:
            self.in_flight.clear()

    def set_accept_enabled(self, enabled: bool | None) -> None:  # noqa: FBT001  gunicorn's
        """Close the listening sockets as soon as the worker is told to end.

        gunicorn itself closes them after the last request. Until then, the kernel would
        go on accepting connections, which nobody would answer.
        """
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def init_process(self) -> None:
        """Make the threads of the admin address, which has the last of two sockets."""
        self.admin_threads = ThreadPoolExecutor(ADMIN_THREADS)
        self.admin = self.sockets[-1].getsockname() if self.sockets[1:] else None
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a connection to the threads of the address that it came to."""
        if conn.server != self.admin:
            super().enqueue_req(conn)
            return
        done = self.admin_threads.submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End at once, and leave the threads to the interpreter's exit.

        gunicorn itself would shut down the pool first, and wait forever if the signal
        came while a request was being handed to the pool.
        """
        super(ThreadWorker, self).handle_quit(sig, frame)

    def handle_error(
        self,
        req: Request | None,
        client: socket.socket,
        addr: str | int | tuple[str, int],
        exc: BaseException,
    ) -> None:
        """Answer and log; the caller closes the connection."""
        # Anything else is a lost connection or a bug, and gunicorn says so in the log.
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
        identifier = uuid4().hex
        self.log.info("Refused request %s: %s", identifier, type(exc).__name__)
        try:
            # A client that does not read must not hold the thread.
            write_nonblock(client, refusal(status, identifier))
        except OSError:
            self.log.debug("The client did not wait for its refusal.")


def refusal(status: HTTPStatus, identifier: str) -> bytes:
    """Return a complete answer with a problem document (RFC 9457, section 4.2.1)."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": "The request is not valid HTTP/1.1; correct it and send it again.",
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


LOOPBACK, PORT = "127.0.0.1", 8000

MAXIMUM_FIELD_BYTES = MAXIMUM_BYTES + len("Authorization: Bearer \r\n") + 64
"""The longest header field: one with the longest token, and room for more spaces."""

_MEMORY = Path("/dev/shm")  # noqa: S108  only checked for


class Server(BaseApplication):
    """gunicorn with threads; `extra` are gunicorn settings that override ours."""

    def __init__(
        self,
        settings: Settings,
        *,
        invitation: Invitation | None = None,
        **extra: object,
    ) -> None:
        """Keep the settings; nothing is bound before run()."""
        self._settings = settings
        self._invitation = invitation
        self._extra = extra
        super().__init__(prog="promptlooper-export")

    def load_config(self) -> None:
        """Pass our settings to gunicorn."""
        for name, value in (gunicorn_settings(self._settings) | self._extra).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override]  # the stubs want any mapping
        """Create the application, once, before the fork."""
        return create_app(self._settings, invitation=self._invitation)


class RootLogger(Logger):
    """A logger that passes gunicorn's messages to the root logger's handlers."""

    def setup(self, cfg: Config) -> None:
        """Set the level and add no handler."""
        self.error_log.propagate = True
        self.error_log.setLevel(cfg.loglevel.upper())


def gunicorn_settings(settings: Settings) -> dict[str, object]:
    """Translate our settings into gunicorn's."""
    return {
        "bind": [settings.bind, *filter(None, [settings.admin_bind])],
        "worker_class": Worker,
        "workers": settings.workers,
        "threads": settings.threads,
        # Workers share imported code in memory, and a startup error ends the command.
        "preload_app": True,
        "graceful_timeout": 30,
        # A heartbeat file on disk can block a worker until gunicorn takes it for dead.
        "worker_tmp_dir": str(_MEMORY) if _MEMORY.is_dir() else None,
        # gunicorn would create the control socket in the home directory.
        "control_socket_disable": True,
        "limit_request_fields": 64,
        "limit_request_field_size": MAXIMUM_FIELD_BYTES,
        # The application handles forwarded headers: TRUSTED_PROXIES.
        "forwarded_allow_ips": "",
        "logger_class": RootLogger,
        "on_starting": _refuse_sync,
        "pre_fork": _prepare,
        "child_exit": _name_lost,
    }


def _prepare(_: Arbiter, worker: Worker) -> None:
    collect_rarely()
    worker.in_flight = InFlight(worker.cfg.threads + ADMIN_THREADS)


def _name_lost(_: Arbiter, worker: Worker) -> None:
    """Log what a worker was answering when it ended."""
    for note in worker.in_flight.left():
        logger.error(RequestLost(worker=int(worker.pid), **json.loads(note)))


def _refuse_sync(arbiter: Arbiter) -> None:
    """End gunicorn if its command line asks for workers without threads."""
    if arbiter.cfg.settings["worker_class"].get() == "sync":
        sys.stderr.write(f"promptlooper-export: {SYNC_REFUSED}\n")
        sys.exit(SettingsError.exit_code)


@click.command()
@click.option("--host", help="The address to listen on, instead of that in BIND.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="The port to listen on, instead of that in BIND.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), help="The processes, instead of WORKERS."
)
def serve(*, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the exports over HTTP.

    TERM or Ctrl-C stops it; TERM lets running exports finish.
    """
    loaded = settings.load()
    if workers is not None:
        loaded = replace(loaded, workers=workers)
    if host is not None or port is not None:
        loaded = replace(loaded, bind=_bind(loaded.bind, host, port))
    # Checked before anything listens: a bad configuration is one line and exit code 78.
    key_finder(loaded)
    use_directory(loaded.spool_dir)
    for bind in filter(None, [loaded.bind, loaded.admin_bind]):
        _require_free(_address(bind))
    diagnose(loaded.database_url)
    locate(loaded.database_url, loaded.state_url)
    configure(loaded.log_format)
    Server(loaded).run()


def _bind(configured: str, host: str | None, port: int | None) -> str:
    """Return what to listen on; a socket in the file system has no host to keep."""
    match _address(configured):
        case (str(its_host), int(its_port)):
            host = host or its_host
            port = its_port if port is None else port
    shown = f"[{host}]" if host and ":" in host else host or LOOPBACK
    return f"{shown}:{PORT if port is None else port}"


def _address(bind: str) -> object:
    """Parse as gunicorn does: a pair for TCP, else the name of a socket."""
    try:
        return parse_address(bind)
    except RuntimeError as error:
        msg = f"PROMPTLOOPER_BIND must look like 127.0.0.1:8000: {error}"
        raise SettingsError(msg) from error


def _require_free(address: object) -> None:
    """Refuse an address that is taken: gunicorn would try for seconds, then log it."""
    match address:
        case (str(host), int(port)):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                socket.create_server((host, port), family=family).close()
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                msg = f"cannot listen on {host}:{port}: {reason}; see --port"
                raise SettingsError(msg) from error
