"""Serve a throw-away database to its user's own browser, for `demo` and `open`."""

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from gunicorn.arbiter import Arbiter

from promptlooper_export import settings
from promptlooper_export.auth.issuing import issue
from promptlooper_export.cli.serve import LOOPBACK, PORT, Server
from promptlooper_export.web.invitation import Invitation, invite

LIFETIME = timedelta(hours=12)
"""How long the token is valid."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server on loopback, as its user gets to know it."""

    base: str
    invitation: Invitation

    @property
    def link(self) -> str:
        """The URL that signs the browser in."""
        return f"{self.base}/session/{self.invitation.code}"


@contextmanager
def throw_away_folder() -> Iterator[Path]:
    """Make a temporary folder that this process removes at the end of the block.

    Forked workers also leave the block when they end, but must not remove it.
    """
    # Closing the terminal must leave nothing behind either.
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    owner = os.getpid()
    folder = Path(tempfile.mkdtemp(prefix="promptlooper-"))
    try:
        yield folder
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder)


def database_in(folder: Path) -> str:
    """Return the URL of the database of a throw-away folder."""
    return f"sqlite:///{folder / 'promptlooper.db'}"


def serve_until_stopped(
    folder: Path, experiment: UUID | None, introduce: Callable[[Served], None]
) -> None:
    """Serve the folder's database on loopback until a signal ends it.

    `introduce` is called once the server listens. Its link leads to the report of the
    experiment, or to the list.
    """
    listener = _listen()
    address = f"{LOOPBACK}:{listener.getsockname()[1]}"
    # A fresh secret, and nothing from the environment.
    loaded = settings.load(
        {
            "PROMPTLOOPER_DATABASE_URL": database_in(folder),
            "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
            "PROMPTLOOPER_BIND": address,
            "PROMPTLOOPER_SPOOL_DIR": str(folder),
            "PROMPTLOOPER_WORKERS": "1",
        }
    )
    token = issue(loaded, subject="you", expires=LIFETIME)
    invitation = invite(folder, token, experiment=experiment)

    def ready(arbiter: Arbiter) -> None:
        # Closing the terminal must end the server, but gunicorn reloads on HUP.
        signal.signal(signal.SIGHUP, lambda *_: arbiter.signal(signal.SIGTERM, None))
        introduce(Served(base=f"http://{address}", invitation=invitation))

    Server(
        loaded,
        invitation=invitation,
        # gunicorn takes over the open socket: no other program gets the port first.
        bind=f"fd://{listener.detach()}",
        loglevel="error",
        when_ready=ready,
    ).run()


def _listen() -> socket.socket:
    """Listen on the usual port, or on any free port if that is taken."""
    for port in (PORT, 0):
        listener = socket.socket()
        # Else closed connections (TIME_WAIT) would block the port for a while.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            break
    return listener
