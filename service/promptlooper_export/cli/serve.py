"""`promptlooper-export serve`."""

import click
from gunicorn.util import parse_address

from promptlooper_export import settings
from promptlooper_export.auth.keys import key_finder
from promptlooper_export.cli.server import Server
from promptlooper_export.errors import SettingsError
from promptlooper_export.logs import configure
from promptlooper_export.store.diagnosis import diagnose
from promptlooper_export.store.state import locate


@click.command()
def serve() -> None:
    """Serve the exports over HTTP.

    TERM or Ctrl-C stops it; TERM lets running exports finish.
    """
    loaded = settings.load()
    key_finder(loaded)
    try:
        parse_address(loaded.bind)
    except RuntimeError as error:
        msg = f"PROMPTLOOPER_BIND must look like 127.0.0.1:8000: {error}"
        raise SettingsError(msg) from error
    diagnose(loaded.database_url)
    locate(loaded.database_url, loaded.state_url)
    configure(loaded.log_format)
    Server(loaded).run()
