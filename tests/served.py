"""A running service that has one experiment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders import experiment, run
from databases import Database
from promptlooper_export.store.migrate import migrate
from servers import HOST, Server, environment, gunicorn
from webservice import bearer, settings_for


@dataclass(frozen=True, kw_only=True)
class Served:
    """The service, and what a client has to know."""

    server: Server
    database: Database
    path: str
    fields: Mapping[str, str]

    @property
    def token(self) -> str:
        """The token in `fields`."""
        return self.fields["Authorization"].removeprefix("Bearer ")

    def url(self, port: int | None = None) -> str:
        """Return the URL of the export, directly or by way of a port."""
        return f"http://{HOST}:{port or self.server.port}{self.path}"


@contextmanager
def served(
    folder: Path,
    *,
    database: Database | None = None,
    prompt: str = "",
    site: str = "",
    arguments: str = "",
    **settings: str,
) -> Iterator[Served]:
    """Serve an experiment whose winner has this prompt; all files are in the folder.

    Without a migrated database, it makes one. `site` is where other packages are
    installed, and `arguments` are gunicorn's.
    """
    if database is None:
        database = Database(kind="sqlite", url=f"sqlite:///{folder / 'served.db'}")
        migrate(database.url, create=True)
    loaded = experiment(run({"accuracy": 0.9}, config={"prompt": prompt}))
    database.load(loaded)
    spool = folder / "spool"
    spool.mkdir()
    environ = environment(database.url, SPOOL_DIR=str(spool), **settings)
    environ |= {"PYTHONPATH": site, "GUNICORN_CMD_ARGS": arguments}
    with gunicorn(environ) as server:
        yield Served(
            server=server,
            database=database,
            path=f"/experiments/{loaded.id}/export",
            fields=bearer(settings_for(database.url)),
        )
