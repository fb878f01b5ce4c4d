"""`promptlooper-export demo`."""

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import click
from gunicorn.arbiter import Arbiter

from promptlooper_export import settings
from promptlooper_export.auth.issuing import issue
from promptlooper_export.cli.demo_data import demo_experiment
from promptlooper_export.cli.serve import Server
from promptlooper_export.cli.terminal import note
from promptlooper_export.settings import Settings
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write

HOST = "127.0.0.1"
PORT = 8000
LIFETIME = timedelta(hours=12)


@click.command()
def demo() -> None:
    """Try everything on a throw-away database.

    Serves a made-up experiment until Ctrl-C and prints three commands to try in another
    shell. Everything is in a temporary directory, which is removed at the end.
    """
    with suppress(KeyboardInterrupt), throw_away_directory() as directory:
        listener = listen()
        address = f"{HOST}:{listener.getsockname()[1]}"
        loaded = demo_settings(directory, address)
        experiment = demo_experiment()
        migrate(loaded.database_url, create=True)
        write(loaded.database_url, iter([experiment]))
        token = issue(loaded, subject="demo", expires=LIFETIME)

        def ready(arbiter: Arbiter) -> None:
            # Closing the terminal must end the demo, but gunicorn reloads on HUP.
            signal.signal(
                signal.SIGHUP, lambda *_: arbiter.signal(signal.SIGTERM, None)
            )
            introduce(f"http://{address}", experiment.id, token)

        Server(
            loaded,
            # gunicorn takes over the open socket: no other program gets the port first.
            bind=f"fd://{listener.detach()}",
            loglevel="error",
            when_ready=ready,
        ).run()


def introduce(base: str, experiment: UUID, token: str) -> None:
    """Print commands to try, one per line, that work in any shell."""
    note("Serving a made-up experiment until Ctrl-C. Try in another shell:")
    for query in ("", "?format=env", "?format=markdown"):
        url = f"{base}/experiments/{experiment}/export{query}"
        click.echo(f'curl -H "Authorization: Bearer {token}" "{url}"')
    click.echo(f"Open {base}/docs")


def demo_settings(directory: Path, address: str) -> Settings:
    """Return settings with a fresh secret, ignoring the environment."""
    return settings.load(
        {
            "PROMPTLOOPER_DATABASE_URL": f"sqlite:///{directory / 'demo.db'}",
            "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
            "PROMPTLOOPER_BIND": address,
            "PROMPTLOOPER_SPOOL_DIR": str(directory),
            "PROMPTLOOPER_WORKERS": "1",
        }
    )


def listen() -> socket.socket:
    """Listen on port 8000, or on any free port if that is taken."""
    for port in (PORT, 0):
        listener = socket.socket()
        # Else closed connections (TIME_WAIT) would block the port for a while.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            break
    return listener


@contextmanager
def throw_away_directory() -> Iterator[Path]:
    """Make a temporary directory that this process removes at the end of the block.

    Forked workers also leave the block when they end, but must not remove it.
    """
    owner = os.getpid()
    directory = Path(tempfile.mkdtemp(prefix="promptlooper-demo-"))
    try:
        yield directory
    finally:
        if os.getpid() == owner:
            shutil.rmtree(directory)
