"""A database as the rest of the service sees it: snapshots for reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from peewee import Database

from promptlooper_export.documents import Best, Report, Runs
from promptlooper_export.errors import DatabaseUnavailableError, SettingsError
from promptlooper_export.store import access, best, report, runs
from promptlooper_export.store.access import ExperimentRow, ExperimentSummary
from promptlooper_export.store.database import (
    Session,
    close,
    open_for_reading,
    reading,
    sqlite_path,
)
from promptlooper_export.store.migrate import LATEST, schema_version
from promptlooper_export.store.visibility import Visibility
from promptlooper_export.viewer import Viewer


class Snapshot:
    """One moment of the database, seen by one viewer."""

    def __init__(self, session: Session, sight: Visibility) -> None:
        self._session = session
        self._sight = sight
        self._rows: dict[UUID, ExperimentRow] = {}

    def revision(self, experiment: UUID) -> int:
        """Return a number that is another one after every change to the experiment.

        Changes to its runs, their scores and their stage results count. Raises
        ExperimentNotFoundError.
        """
        return self._row(experiment).revision

    def last_change(self, experiment: UUID) -> datetime:
        """Return the latest time that the experiment's data name as a change.

        See `last_change` of the module `access`. Raises ExperimentNotFoundError.
        """
        return access.last_change(self._session, self._row(experiment))

    def best(self, experiment: UUID, *, exported_at: datetime | None = None) -> Best:
        """Return the winner and its config; `exported_at` is now unless it is given.

        Raises ExperimentNotFoundError, NothingToExportError and InvalidConfigError.
        """
        row = self._row(experiment)
        return best.document(self._session, row, exported_at or _now())

    def report(
        self, experiment: UUID, *, top_n: int, exported_at: datetime | None = None
    ) -> Report:
        """Return the report with the `top_n` best runs.

        `exported_at` is now unless it is given. Raises ExperimentNotFoundError.
        """
        row = self._row(experiment)
        return report.document(self._session, row, exported_at or _now(), top_n=top_n)

    def runs(
        self,
        experiment: UUID,
        *,
        limit: int | None = None,
        after: UUID | None = None,
    ) -> Runs:
        """Return every run; their rows are read while this snapshot is open.

        With `after`, those behind that run; with `limit`, so many at most. Raises
        ExperimentNotFoundError, and InvalidParameterError where `after` is no run of
        the experiment.
        """
        row = self._row(experiment)
        return runs.document(self._session, row, limit=limit, after=after)

    def experiments(
        self, *, after: UUID | None = None, limit: int | None = None
    ) -> Iterator[ExperimentSummary]:
        """Yield the experiments to be seen, newest first.

        With `after`, those behind it; with `limit`, so many at most. Raises
        ExperimentNotFoundError where `after` is none of them.
        """
        return access.experiments(self._session, self._sight, after=after, limit=limit)

    def find(self, reference: str) -> UUID:
        """Return the id that an id, the start of one, or a unique name stands for.

        Raises ExperimentNotFoundError for none and UsageError for several.
        """
        return access.find(self._session, self._sight, reference)

    def owner(self, identity: UUID) -> UUID | None:
        """Return the experiment of this id, or the one that the run of this id is of.

        None where there is no such experiment to be seen.
        """
        return access.owner(self._session, self._sight, identity)

    def _row(self, experiment: UUID) -> ExperimentRow:
        if experiment not in self._rows:
            self._rows[experiment] = access.experiment(
                self._session, self._sight, experiment
            )
        return self._rows[experiment]


class Store:
    """A database, opened for reading.

    `open_experiments`: whether those that were granted to nobody are open to everybody.
    """

    def __init__(self, database: Database, *, open_experiments: bool) -> None:
        self._database = database
        self._open_experiments = open_experiments

    @contextmanager
    def snapshot(self, viewer: Viewer) -> Iterator[Snapshot]:
        """Open one moment of the database; its connection is given back at the end.

        Raises DatabaseUnavailableError, also for a viewer whose token is unconfirmed.
        """
        if viewer.unconfirmed is not None:
            raise DatabaseUnavailableError(viewer.unconfirmed)
        with reading(self._database) as session:
            sight = Visibility(session, viewer, open_experiments=self._open_experiments)
            yield Snapshot(session, sight)

    def ping(self) -> None:
        """Raise DatabaseUnavailableError unless it answers and is migrated."""
        with reading(self._database) as session:
            version = schema_version(session)
        if version != LATEST:
            msg = (
                f"The database is at schema version {version}, this release needs "
                f"{LATEST}; run: promptlooper-export migrate"
            )
            raise DatabaseUnavailableError(msg)

    def close(self) -> None:
        """Close every connection that is not in use."""
        close(self._database)


def open_store(url: str, *, open_experiments: bool = False) -> Store:
    """Open a database for reading; see `Store` for `open_experiments`.

    Raises SettingsError for an unknown kind of URL and for a SQLite file that is not in
    WAL mode, in which a reader would make the runner's writes fail.
    """
    database = open_for_reading(url)
    path = sqlite_path(url)
    if path is not None and path.exists():
        with reading(database) as session:
            mode = session.one("PRAGMA journal_mode")
        if mode != ("wal",):
            msg = (
                f"{path} is not in WAL mode, so exports would block the runner; "
                "run: promptlooper-export migrate"
            )
            raise SettingsError(msg)
    return Store(database, open_experiments=open_experiments)


def _now() -> datetime:
    return datetime.now(UTC)
