"""A database as the rest of the service sees it: snapshots for reading."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from promptlooper_export.analysis.verdict import MARGIN
from promptlooper_export.documents import Best, Report, Runs
from promptlooper_export.errors import (
    DatabaseUnavailableError,
    ExperimentNotFoundError,
    InvalidParameterError,
)
from promptlooper_export.runs import Columns
from promptlooper_export.store import best, experiments, listing, report, runs, table
from promptlooper_export.store.against import Opponent, Side, compare
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.decision import Tally
from promptlooper_export.store.experiments import (
    Condition,
    ExperimentRow,
)
from promptlooper_export.store.freshness import Kept, Token
from promptlooper_export.store.glance import STATE_IS_INSIDE, Glance
from promptlooper_export.store.headline import Headline, read_headline
from promptlooper_export.store.listing import ExperimentSummary, Page
from promptlooper_export.store.moments import Moments
from promptlooper_export.store.ranking import Place
from promptlooper_export.store.standings import Standings
from promptlooper_export.store.state import State, open_state
from promptlooper_export.store.what_if import STORED, WhatIf, apply
from promptlooper_export.verdicts import ExperimentComparison
from promptlooper_export.viewer import Viewer


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
        self._seen: dict[UUID, tuple[bool, frozenset[str]]] = {}
        self._standings = Standings(session, catalog, token, kept)

    def best(
        self,
        experiment: UUID,
        *,
        what_if: WhatIf = STORED,
        exported_at: datetime | None = None,
    ) -> Best:
        """Return the winner and its config; `exported_at` is now unless it is given.

        Raises ExperimentNotFoundError, NothingToExportError, InvalidConfigError, and
        InvalidParameterError if `what_if` asks for what the runs cannot give.
        """
        row = apply(what_if, self._row(experiment))
        found = self._kept.find(
            ("best", experiment, what_if),
            self._token,
            lambda: best.read_best(
                self._session, self._catalog, row, self._standings.ranking(row, what_if)
            ),
            size=best.size,
        )
        return replace(found, exported_at=exported_at or datetime.now(UTC))

    def report(
        self,
        experiment: UUID,
        *,
        top_n: int,
        what_if: WhatIf = STORED,
        baseline: str | None = None,
        margin: float = MARGIN,
        against: Opponent | None = None,
        with_decision: bool = False,
        exported_at: datetime | None = None,
    ) -> Report:
        """Return the report with the `top_n` best runs.

        The winner is compared with the runner-up, with `baseline`, the id or name of a
        run or a config_hash, and with the winner of the experiment `against`;
        differences up to `margin` count as none. `exported_at` is now unless it is
        given. Raises ExperimentNotFoundError, and InvalidParameterError if `what_if`
        asks for what the runs cannot give, for a baseline that is missing or has no run
        that counts, and for another experiment that is not there to be seen.
        """
        row = apply(what_if, self._row(experiment))
        ranking = self._standings.ranking(row, what_if)
        # A config is elected from groups of runs, which the record does not have.
        has_decision = with_decision and what_if.by == "run"
        tally = Tally(rules=row.rules) if has_decision else None
        found = report.read_report(
            self._session,
            self._catalog,
            row,
            ranking,
            self._standings.statistics(row, what_if, tally),
            self._standings.assessment(row, ranking, what_if, baseline, margin),
            exported_at=exported_at or datetime.now(UTC),
            top_n=top_n,
        )
        if against is not None:
            compared = self._against(row, against, what_if, margin)
            found = replace(found, against=compared)
        if tally is None:
            return found
        return replace(
            found,
            decision=self._standings.decision(
                row, what_if, tally, partial(self.last_change, experiment)
            ),
        )

    def _against(
        self,
        row: ExperimentRow,
        against: Opponent,
        what_if: WhatIf,
        margin: float,
    ) -> ExperimentComparison:
        if against.experiment == row.experiment.id:
            detail = "An experiment is not compared with itself: name another one."
            raise InvalidParameterError(detail, parameter="against")
        other = apply(what_if, self._other(against.experiment))
        try:
            second = self._side(other, what_if)
        except InvalidParameterError as error:
            detail = f"In the other experiment: {error.detail}"
            raise InvalidParameterError(detail, **error.members) from error
        return compare(
            self._side(row, what_if), second, margin=margin, force=against.force
        )

    def _other(self, against: UUID) -> ExperimentRow:
        """Return the row of another experiment: the one asked for must exist."""
        try:
            return self._row(against)
        except ExperimentNotFoundError:
            detail = "The experiment to compare with was not found."
            raise InvalidParameterError(detail, parameter="against") from None

    def _side(self, row: ExperimentRow, what_if: WhatIf) -> Side:
        ranking = self._standings.ranking(row, what_if)
        return Side(
            row=row,
            ranking=ranking,
            evidence=self._standings.evidence(row, ranking, what_if),
            reader=self._standings.reader(row),
        )

    def leader(self, experiment: UUID) -> Place | None:
        """Return the best run or None. Raises ExperimentNotFoundError."""
        ranking = self._standings.ranking(self._row(experiment), STORED)
        return next(iter(ranking.places), None)

    def headline(self, experiment: UUID) -> Headline | None:
        """Return what came out of it, or None. Raises ExperimentNotFoundError."""
        row = self._row(experiment)
        ranking = self._standings.ranking(row, STORED)
        if not ranking.places:
            return None
        found = self._standings.assessment(row, ranking, STORED, None, MARGIN)
        return read_headline(self._session, self._catalog, ranking.places[0], found)

    def runs(
        self,
        experiment: UUID,
        *,
        limit: int | None = None,
        after: UUID | None = None,
        with_columns: bool = True,
        redacted: bool = False,
    ) -> Runs:
        """Return every run; their rows are read while this snapshot is open.

        Start after the run `after`; return at most `limit`. The columns are those of
        `redacted` runs, or of the runs as they are. Raises
        ExperimentNotFoundError, and InvalidParameterError if `after` is not a run of
        the experiment.
        """
        row = self._row(experiment)
        columns = self._columns(row, redacted=redacted) if with_columns else None
        return runs.read_runs(
            self._session, self._catalog, row, limit=limit, after=after, columns=columns
        )

    def _columns(self, row: ExperimentRow, *, redacted: bool) -> Columns:
        return self._kept.find(
            ("columns", row.experiment.id, redacted),
            self._token,
            lambda: table.read_columns(
                self._session, self._catalog, row, redacted=redacted
            ),
            size=table.columns_size,
        )

    def last_change(self, experiment: UUID) -> datetime | None:
        """Return the latest time that the experiment's data name as a change.

        See `last_change` of the module `experiments`. Raises ExperimentNotFoundError.
        """
        row = self._row(experiment)
        return self._kept.find(
            ("last change", experiment),
            self._token,
            lambda: experiments.last_change(self._session, self._catalog, row),
        )

    def keep(self, experiment: UUID, key: str, value: object, size: int) -> None:
        """Keep what was made of the experiment, about `size` bytes: see `Glance`."""
        self._kept.put(("made", experiment, key), self._token, value, size)

    def experiments(self, page: Page = listing.WHOLE) -> Iterator[ExperimentSummary]:
        """Yield the experiments to be seen, newest first unless the page says so.

        Raises ExperimentNotFoundError if it starts after one that is not among them.
        """
        visible = self._visible()
        return listing.experiments(self._session, self._catalog, visible, page)

    def find(self, reference: str) -> UUID:
        """Return the id that an id, the start of one, or a unique name stands for.

        Raises ExperimentNotFoundError for none and UsageError for several.
        """
        return listing.find(self._session, self._catalog, self._visible(), reference)

    def owner(self, identity: UUID) -> UUID | None:
        """Return the experiment with this id, or the one that a run with it belongs to.

        None if the viewer may not see it, or there is none.
        """
        return listing.owner(self._session, self._catalog, self._visible(), identity)

    def _row(self, experiment: UUID) -> ExperimentRow:
        """Return the experiment's row if the viewer may see it.

        Whether they may is asked for each snapshot, also if the row is kept.
        """
        if experiment not in self._seen:
            names, is_inside = self._state.grantees(self._session, experiment)
            self._kept.put(STATE_IS_INSIDE, self._token, is_inside, 64)
            is_visible = experiments.may_see(
                self._viewer,
                experiment,
                names,
                open_experiments=self._open_experiments,
            )
            self._seen[experiment] = is_visible, names
        # Part of the key, so that nobody gets a row that was kept for somebody else.
        is_visible, names = self._seen[experiment]
        row = self._kept.find(
            ("experiment", experiment, is_visible),
            self._token,
            lambda: experiments.read_experiment(
                self._session, self._catalog, experiment, is_visible=is_visible
            ),
        )
        # Only now: ids that do not exist must not push out what others need.
        key = ("grantees", experiment)
        self._kept.put(key, self._token, names, 64 * len(names))
        return row

    def _visible(self) -> Condition:
        return experiments.visible(
            self._catalog,
            self._viewer,
            self._state.grants(self._session),
            open_experiments=self._open_experiments,
        )


class Store:
    """A database, opened for reading.

    `open_experiments`: whether those that were granted to nobody are open to everybody.
    """

    def __init__(
        self,
        moments: Moments,
        state: State,
        *,
        open_experiments: bool,
    ) -> None:
        self._state = state
        self._open_experiments = open_experiments
        self._kept = Kept()
        self._moments = moments

    @contextmanager
    def snapshot(
        self, viewer: Viewer, *, deadline: float = math.inf
    ) -> Iterator[Snapshot]:
        """Open one moment of the database; its connection is given back at the end.

        Raises DatabaseUnavailableError, also for a viewer whose token is unconfirmed,
        and TimeoutError after `deadline`, a moment of time.monotonic().
        """
        _refuse_unconfirmed(viewer)
        with self._moments.begin(deadline=deadline) as (session, catalog, token):
            yield Snapshot(
                session,
                catalog,
                token,
                kept=self._kept,
                state=self._state,
                viewer=viewer,
                open_experiments=self._open_experiments,
            )

    def glance(self, viewer: Viewer, *, deadline: float = math.inf) -> Glance:
        """Return what is kept of the database as it is now; raises as `snapshot`."""
        _refuse_unconfirmed(viewer)
        return Glance(
            token=self._moments.token(deadline=deadline),
            kept=self._kept,
            state=self._state,
            viewer=viewer,
            open_experiments=self._open_experiments,
        )

    def ping(self) -> None:
        """Raise DatabaseUnavailableError unless it answers and can be read."""
        self._moments.ping()

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._moments.close()
        self._state.close()


def _refuse_unconfirmed(viewer: Viewer) -> None:
    # Whether the token was revoked could not be asked: refuse rather than open up.
    if viewer.unconfirmed is not None:
        raise DatabaseUnavailableError(viewer.unconfirmed)


def open_store(
    url: str,
    *,
    state_url: str | None = None,
    open_experiments: bool = False,
    connections: int = 16,
    seconds: float = math.inf,
) -> Store:
    """Open a database for reading; see `Store` for `open_experiments`.

    At most `connections` snapshots are open at once, each for at most `seconds`.

    Raises SettingsError for an unknown kind of URL, and if the state that `state_url`
    names is missing or unreadable.
    """
    return Store(
        Moments(url, connections=connections, seconds=seconds),
        open_state(url, state_url),
        open_experiments=open_experiments,
    )
