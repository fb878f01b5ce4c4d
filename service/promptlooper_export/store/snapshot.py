"""A database as the rest of the service sees it: snapshots for reading."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from peewee import Database

from promptlooper_export.documents import Best, Columns, Report, Runs
from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
)
from promptlooper_export.store import best, experiments, report, runs
from promptlooper_export.store.catalog import Catalog, fingerprint, read_catalog
from promptlooper_export.store.connection import (
    Session,
    close,
    open_for_reading,
    reading,
    sqlstate,
)
from promptlooper_export.store.earlier import is_earlier
from promptlooper_export.store.experiments import (
    Condition,
    ExperimentRow,
    ExperimentSummary,
)
from promptlooper_export.store.freshness import Kept, Sentinel, Token, taking_token
from promptlooper_export.store.locations import sqlite_path
from promptlooper_export.store.ranking import Place, Ranking, rank
from promptlooper_export.store.state import State, open_state
from promptlooper_export.store.statistics import read_statistics
from promptlooper_export.viewer import Viewer

_ATTEMPTS = 6
"""How often to ask for the locks; each time waits a little less than a second."""

_PASSING = {"55P03", "40P01", "42P01", "42809"}
"""SQLSTATEs that may pass: a lock that was not given, a deadlock, a table that is gone,
and one that is now something that cannot be locked, such as a view."""


class Snapshot:
    """One moment of the database, seen by one viewer.

    `token` is the moment's, under which answers are kept; None if there is none.
    """

    def __init__(
        self,
        session: Session,
        catalog: Catalog,
        token: Token | None,
        *,
        kept: Kept,
        state: State,
        viewer: Viewer,
        open_experiments: bool,
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._token = token
        self._kept = kept
        self._state = state
        self._viewer = viewer
        self._open_experiments = open_experiments
        self._seen: dict[UUID, bool] = {}

    def best(self, experiment: UUID, *, exported_at: datetime | None = None) -> Best:
        """Return the winner and its config; `exported_at` is now unless it is given.

        Raises ExperimentNotFoundError, NothingToExportError and InvalidConfigError.
        """
        row = self._row(experiment)
        found = self._kept.find(
            ("best", experiment),
            self._token,
            lambda: best.read_best(
                self._session, self._catalog, row, self._ranking(row)
            ),
            size=best.size,
        )
        return replace(found, exported_at=exported_at or datetime.now(UTC))

    def report(
        self, experiment: UUID, *, top_n: int, exported_at: datetime | None = None
    ) -> Report:
        """Return the report with the `top_n` best runs.

        `exported_at` is now unless it is given. Raises ExperimentNotFoundError.
        """
        row = self._row(experiment)
        ranking = self._ranking(row)
        statistics = self._kept.find(
            ("statistics", experiment),
            self._token,
            lambda: read_statistics(self._session, self._catalog, row),
        )
        return report.read_report(
            self._session,
            self._catalog,
            row,
            ranking,
            statistics,
            exported_at=exported_at or datetime.now(UTC),
            top_n=top_n,
        )

    def leader(self, experiment: UUID) -> Place | None:
        """Return the best run or None. Raises ExperimentNotFoundError."""
        return next(iter(self._ranking(self._row(experiment)).places), None)

    def runs(
        self,
        experiment: UUID,
        *,
        limit: int | None = None,
        after: UUID | None = None,
        with_columns: bool = True,
    ) -> Runs:
        """Return every run; their rows are read while this snapshot is open.

        Start after the run `after`; return at most `limit`. Raises
        ExperimentNotFoundError, and InvalidParameterError if `after` is not a run of
        the experiment.
        """
        row = self._row(experiment)
        columns = self._columns(row) if with_columns else None
        return runs.read_runs(
            self._session, self._catalog, row, limit=limit, after=after, columns=columns
        )

    def _columns(self, row: ExperimentRow) -> Columns:
        return self._kept.find(
            ("columns", row.experiment.id),
            self._token,
            lambda: runs.read_columns(self._session, self._catalog, row),
            size=runs.columns_size,
        )

    def last_change(self, experiment: UUID) -> datetime:
        """Return the latest time that the experiment's data name as a change.

        See `last_change` of the module `experiments`. Raises ExperimentNotFoundError.
        """
        row = self._row(experiment)
        return self._kept.find(
            ("last change", experiment),
            self._token,
            lambda: experiments.last_change(self._session, self._catalog, row),
        )

    def note(self, experiment: UUID, key: str, value: bytes) -> None:
        """Keep a digest of an export of the experiment, as long as it holds."""
        self._kept.put(("note", experiment, key), self._token, value, 512)

    def noted(self, experiment: UUID, key: str) -> bytes | None:
        """Return the digest if it still holds. Raises ExperimentNotFoundError."""
        self._row(experiment)
        found: bytes | None = self._kept.get(("note", experiment, key), self._token)
        return found

    def experiments(
        self, *, after: UUID | None = None, limit: int | None = None
    ) -> Iterator[ExperimentSummary]:
        """Yield the experiments to be seen, newest first.

        Start after `after`; yield at most `limit`. Raises ExperimentNotFoundError if
        `after` is not one of them.
        """
        return experiments.experiments(
            self._session, self._catalog, self._visible(), after=after, limit=limit
        )

    def find(self, reference: str) -> UUID:
        """Return the id that an id, the start of one, or a unique name stands for.

        Raises ExperimentNotFoundError for none and UsageError for several.
        """
        return experiments.find(
            self._session, self._catalog, self._visible(), reference
        )

    def owner(self, identity: UUID) -> UUID | None:
        """Return the experiment with this id, or the one that a run with it belongs to.

        None if the viewer may not see it, or there is none.
        """
        return experiments.owner(
            self._session, self._catalog, self._visible(), identity
        )

    def _row(self, experiment: UUID) -> ExperimentRow:
        """Return the experiment's row if the viewer may see it.

        Whether they may is asked for each snapshot, also if the row is kept.
        """
        if experiment not in self._seen:
            self._seen[experiment] = experiments.may_see(
                self._viewer,
                experiment,
                self._state.grantees(self._session, experiment) or frozenset(),
                open_experiments=self._open_experiments,
            )
        # Part of the key, so that nobody gets a row that was kept for somebody else.
        is_visible = self._seen[experiment]
        return self._kept.find(
            ("experiment", experiment, is_visible),
            self._token,
            lambda: experiments.read_experiment(
                self._session, self._catalog, experiment, is_visible=is_visible
            ),
        )

    def _ranking(self, row: ExperimentRow) -> Ranking:
        # Even an outdated ranking tells which scorers to expect; `rank` checks that.
        key = ("ranking", row.experiment.id)
        before: Ranking | None = self._kept.last(key)
        return self._kept.find(
            key,
            self._token,
            lambda: rank(
                self._session,
                self._catalog,
                row.experiment.id,
                row.rules,
                scorers=None if before is None else before.scorers,
            ),
            size=lambda _: 32 << 10,
        )

    def _visible(self) -> Condition:
        return experiments.visible(
            self._catalog,
            self._viewer,
            self._state.grants(self._session),
            open_experiments=self._open_experiments,
        )


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What was last found, and the token under which it certainly holds."""

    catalog: Catalog | None = None
    token: Token | None = None


class Store:
    """A database, opened for reading.

    `open_experiments`: whether those that were granted to nobody are open to everybody.
    """

    def __init__(
        self,
        database: Database,
        path: Path | None,
        state: State,
        *,
        open_experiments: bool,
    ) -> None:
        self._database = database
        self._state = state
        self._open_experiments = open_experiments
        self._kept = Kept()
        self._sentinel = None if path is None else Sentinel(path)
        self._known = _Known()

    @contextmanager
    def snapshot(self, viewer: Viewer) -> Iterator[Snapshot]:
        """Open one moment of the database; its connection is given back at the end.

        Raises DatabaseUnavailableError, also for a viewer whose token is unconfirmed.
        """
        # Whether the token was revoked could not be asked: refuse rather than open up.
        if viewer.unconfirmed is not None:
            raise DatabaseUnavailableError(viewer.unconfirmed)
        with self._look() as (session, catalog, token):
            yield Snapshot(
                session,
                catalog,
                token,
                kept=self._kept,
                state=self._state,
                viewer=viewer,
                open_experiments=self._open_experiments,
            )

    def ping(self) -> None:
        """Raise DatabaseUnavailableError unless it answers and can be read."""
        with self._look():
            pass

    def close(self) -> None:
        """Close every connection that is not in use."""
        if self._sentinel is not None:
            self._sentinel.close()
        self._state.close()
        close(self._database)

    def _look(
        self,
    ) -> AbstractContextManager[tuple[Session, Catalog, Token | None]]:
        if self._sentinel is None:
            return self._look_at_postgresql()
        return self._look_at_sqlite(self._sentinel)

    @contextmanager
    def _look_at_sqlite(
        self, sentinel: Sentinel
    ) -> Iterator[tuple[Session, Catalog, Token | None]]:
        # SQLite cannot say which version a snapshot sees. If the sentinel says the same
        # before and after it was taken, nobody committed meanwhile.
        before = sentinel.token()
        with reading(self._database) as session:
            catalog = self._current(session)  # here the moment begins
            after = sentinel.token()
            yield session, catalog, after if before == after else None

    @contextmanager
    def _look_at_postgresql(self) -> Iterator[tuple[Session, Catalog, Token | None]]:
        with ExitStack() as stack:
            session, known = self._begin_behind_locks(stack)
            # What the last statement of the beginning gave; None on a standby and for
            # views, where a snapshot proves nothing.
            token = None if session.begun is None else session.begun[0]
            catalog = known.catalog
            # Under the same token the tables are the same, so they are not looked at.
            if catalog is None or token is None or token != known.token:
                catalog = self._current(session)
                if catalog is not known.catalog:
                    token = None  # the lock was on other tables
                self._known = _Known(catalog=catalog, token=token)
            yield session, catalog, token

    def _begin_behind_locks(self, stack: ExitStack) -> tuple[Session, _Known]:
        """Begin a snapshot after taking the locks that make it exact.

        Tries again if a table has gone since it was last looked at, or if somebody's
        DDL holds a lock for long: waiting for one lock while holding another could end
        in a deadlock, so all are given up in between.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            if self._known.catalog is None:
                with reading(self._database) as session:
                    self._current(session)
            # Another thread may replace it, so this one keeps what it locks by.
            known = self._known
            try:
                session = stack.enter_context(
                    reading(self._database, then=taking_token(known.catalog))
                )
            except DatabaseUnavailableError as error:
                if sqlstate(error) not in _PASSING or attempt == _ATTEMPTS:
                    raise
                # A table that is gone must be looked for anew, else all attempts fail.
                self._known = _Known()
            else:
                return session, known
        msg = "unreachable: the last attempt returns or raises"
        raise AssertionError(msg)

    def _current(self, session: Session) -> Catalog:
        """Return the catalog, looked at again if tables or columns changed."""
        found = self._known.catalog
        # A catalog takes several statements; the fingerprint of the tables takes one.
        if found is None or found.fingerprint != fingerprint(session):
            if is_earlier(session):
                msg = (
                    "An earlier version left tables and triggers in this database; "
                    "run: promptlooper-export migrate"
                )
                raise DatabaseNotUnderstoodError(msg)
            found = read_catalog(session)
            self._known = _Known(catalog=found)
        return found


def open_store(
    url: str, *, state_url: str | None = None, open_experiments: bool = False
) -> Store:
    """Open a database for reading; see `Store` for `open_experiments`.

    Raises SettingsError for an unknown kind of URL, and if the state that `state_url`
    names is missing or unreadable.
    """
    path = sqlite_path(url)
    return Store(
        open_for_reading(url),
        None if path is None else path.resolve(),
        open_state(url, state_url),
        open_experiments=open_experiments,
    )
