"""What came out of an experiment, in one line."""

from dataclasses import dataclass
from uuid import UUID

from promptlooper_export.documents import Notice
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.ranking import Place
from promptlooper_export.store.rows import Cells
from promptlooper_export.verdicts import Assessment, Verdict

_NAME = "SELECT name FROM {runs} AS run WHERE id = ?"


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The winning run, and whether it is better than the runner-up.

    `verdict` is None if no other config has a score.
    """

    run_id: UUID
    run_name: str | None
    weighted_score: float
    verdict: Verdict | None


def read_headline(
    session: Session, catalog: Catalog, winner: Place, assessment: Assessment | None
) -> Headline:
    """Return the headline of an experiment with this winner."""
    unread: list[Notice] = []  # an export of the runs names what is odd
    (name,) = session.one(_NAME.format(runs=catalog.runs), winner.key) or (None,)
    return Headline(
        run_id=winner.run_id,
        run_name=Cells("run", unread.append).text("name", name),
        weighted_score=winner.weighted_score,
        verdict=next(iter(assessment.verdicts if assessment else ()), None),
    )
