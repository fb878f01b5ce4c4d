"""What the runs of an experiment come to, kept until the database changes."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from promptlooper_export.analysis.assessment import assess
from promptlooper_export.analysis.evidence import Evidence
from promptlooper_export.decisions import Decision
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.decision import Tally, read_decision
from promptlooper_export.store.election import elect
from promptlooper_export.store.evidence import (
    evidence_size,
    find_run,
    read_evidence,
    read_repeats,
)
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.freshness import Kept, Token
from promptlooper_export.store.groups import ConfigGroup, config_groups
from promptlooper_export.store.ranking import Ranking, ScoreReader, rank
from promptlooper_export.store.statistics import Statistics, read_statistics
from promptlooper_export.store.what_if import STORED, WhatIf, refuse_unknown
from promptlooper_export.verdicts import Assessment

_RANKING_BYTES = 32 << 10


class Standings:
    """Computes rankings, and what follows from them, at one moment of the database.

    Whether somebody may see an experiment is not asked here.
    """

    def __init__(
        self, session: Session, catalog: Catalog, token: Token | None, kept: Kept
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._token = token
        self._kept = kept

    def reader(self, row: ExperimentRow) -> ScoreReader:
        """Return a reader of the experiment's scores."""
        return ScoreReader(self._session, self._catalog, row.experiment.id)

    def ranking(self, row: ExperimentRow, what_if: WhatIf) -> Ranking:
        """Return the ranking of runs, or of configs if that is asked for.

        Raises InvalidParameterError if `what_if` asks for what the runs cannot give.
        """
        ranking = self.of_runs(row, what_if.rule)
        refuse_unknown(what_if, ranking.scorers)
        if what_if.by == "run" or not ranking.places:
            return ranking
        return self._kept.find(
            ("election", row.experiment.id, what_if),
            self._token,
            lambda: elect(ranking, partial(self._groups, row, what_if), what_if),
            size=lambda _: _RANKING_BYTES,
        )

    def evidence(
        self, row: ExperimentRow, ranking: Ranking, what_if: WhatIf, run: object = None
    ) -> Evidence | None:
        """Return what is known of the configs, that of `run`, by its key, included."""
        reader = self.reader(row)
        return self._kept.find(
            ("evidence", row.experiment.id, what_if, run),
            self._token,
            lambda: (
                read_repeats(
                    reader, row.rules, ranking, self._groups(row, what_if), run=run
                )
                if what_if.repeat_over
                else read_evidence(reader, row.rules, ranking, run=run)
            ),
            size=evidence_size,
        )

    def assessment(
        self,
        row: ExperimentRow,
        ranking: Ranking,
        what_if: WhatIf,
        baseline: str | None,
        margin: float,
    ) -> Assessment | None:
        """Return what the winner is worth, None if no run counts.

        Raises InvalidParameterError for a baseline that is missing or does not count.
        """
        run = None if baseline is None else find_run(self.reader(row), baseline)
        evidence = self.evidence(row, ranking, what_if, run)
        if evidence is None:
            return None
        if run is not None and evidence.asked is None:
            detail = "No run of the baseline's config is completed and has a score."
            raise InvalidParameterError(detail, parameter="baseline")
        return assess(evidence, margin=margin)

    def decision(
        self,
        row: ExperimentRow,
        what_if: WhatIf,
        tally: Tally,
        last_change: Callable[[], datetime | None],
    ) -> Decision:
        """Return the decision record; `last_change` is asked for the data's moment.

        The tally need not have begun.
        """
        reader = self.reader(row)
        return self._kept.find(
            ("decision", row.experiment.id, what_if.rule),
            self._token,
            lambda: read_decision(reader, row.rules, last_change(), tally),
            size=lambda decision: 600 * len(decision.candidates),
        )

    def statistics(
        self, row: ExperimentRow, what_if: WhatIf, tally: Tally | None
    ) -> Statistics:
        """Return the statistics of all runs, which the tally counts unless kept."""
        ranking = self.of_runs(row, what_if.rule)
        return self._kept.find(
            ("statistics", row.experiment.id, what_if.rule),
            self._token,
            lambda: read_statistics(self.reader(row), row.rules, ranking, tally),
        )

    def of_runs(self, row: ExperimentRow, rule: WhatIf) -> Ranking:
        """Return the ranking of runs by a rule."""
        # Even an outdated ranking by another rule tells which scorers to expect; `rank`
        # checks that.
        key = ("ranking", row.experiment.id, rule)
        before: Ranking | None = self._kept.last(key) or self._kept.last(
            ("ranking", row.experiment.id, STORED)
        )
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
            size=lambda _: _RANKING_BYTES,
        )

    def _groups(self, row: ExperimentRow, what_if: WhatIf) -> Iterator[ConfigGroup]:
        return config_groups(
            self._session,
            self._catalog,
            row.experiment.id,
            row.rules,
            repeat_over=what_if.repeat_over,
        )
