"""Which experiments a viewer may see; the check is part of every query."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from promptlooper_export.documents import Experiment, Notice
from promptlooper_export.errors import ExperimentNotFoundError, UsageError
from promptlooper_export.store.database import Session
from promptlooper_export.store.values import json_value, moment
from promptlooper_export.viewer import Viewer

_EXPERIMENT = """
SELECT
    id, name, description, status,
    CAST(parameter_space AS TEXT), CAST(scoring_config AS TEXT),
    created_at, updated_at,
    EXISTS (SELECT 1 FROM export_ranking_log),
    EXISTS (SELECT 1 FROM export_ranking_stale WHERE experiment_id = experiments.id),
    (SELECT sum(number) FROM export_revision WHERE experiment_id = experiments.id)
FROM experiments
WHERE id = ?
"""

_LAST_RUN = "SELECT max(updated_at) FROM runs WHERE experiment_id = ?"

_EXPERIMENTS = """
SELECT
    id, name, status,
    (SELECT count(*) FROM runs WHERE experiment_id = experiments.id),
    created_at
FROM experiments
ORDER BY created_at DESC, id
"""

_HEX = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, kw_only=True)
class ExperimentSummary:
    """A line of the list of experiments."""

    id: UUID
    name: str
    status: str
    runs: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """An experiment as read.

    `logged`: runs may not be folded into its ranking yet; `stale`: its ranking waits to
    be rebuilt after new weights. `revision` is another number after every change to the
    experiment, its runs, their scores and stage results.
    """

    experiment: Experiment
    warnings: tuple[Notice, ...]
    logged: bool
    stale: bool
    revision: int


def experiment(session: Session, viewer: Viewer, wanted: UUID) -> ExperimentRow:
    """Read one experiment; raise ExperimentNotFoundError where there is none."""
    row = (
        session.one(_EXPERIMENT, session.key(wanted))
        if _may_see(viewer, wanted)
        else None
    )
    if row is None:
        raise ExperimentNotFoundError
    parameter_space, space_notices = json_value(row[4], "parameter_space")
    scoring_config, scoring_notices = json_value(row[5], "scoring_config")
    return ExperimentRow(
        experiment=Experiment(
            id=UUID(str(row[0])),
            name=row[1],
            description=row[2],
            status=row[3],
            parameter_space=parameter_space,
            scoring_config=scoring_config,
            created_at=moment(row[6]),
            updated_at=moment(row[7]),
        ),
        warnings=(*space_notices, *scoring_notices),
        logged=bool(row[8]),
        stale=bool(row[9]),
        revision=int(row[10] or 0),
    )


def last_change(session: Session, row: ExperimentRow) -> datetime:
    """Return when the experiment's data say that they changed last.

    The latest `updated_at` of the experiment and its runs. It comes from the data, not
    from a clock or the revision, so that the same data give the same time in whichever
    database they are, also after an import; an index on runs makes it a look-up. What
    changes without its run's `updated_at`, such as a late score, does not move it: the
    revision tells those apart. Where SQLite holds a time that cannot be read as a run's
    latest, the experiment's own counts.
    """
    (latest,) = session.one(_LAST_RUN, session.key(row.experiment.id)) or (None,)
    own = row.experiment.updated_at
    if latest is None:
        return own
    try:
        return max(own, moment(latest))
    except (TypeError, ValueError):
        return own


def experiments(session: Session, viewer: Viewer) -> Iterator[ExperimentSummary]:
    """Yield the experiments that the viewer may see, newest first."""
    for row in session.rows(_EXPERIMENTS):
        summary = ExperimentSummary(
            id=UUID(str(row[0])),
            name=row[1],
            status=row[2],
            runs=row[3],
            created_at=moment(row[4]),
        )
        if _may_see(viewer, summary.id):
            yield summary


def find(session: Session, viewer: Viewer, reference: str) -> UUID:
    """Return the id that an id, the start of one, or a unique name stands for.

    Raises ExperimentNotFoundError for none and UsageError for several.
    """
    start = reference.lower().replace("-", "")
    found = {
        summary.id
        for summary in experiments(session, viewer)
        if summary.name == reference
        or (_HEX.fullmatch(start) and summary.id.hex.startswith(start))
    }
    if not found:
        msg = (
            f"No experiment is named or begins with {reference!r}; "
            "see: promptlooper-export list"
        )
        raise ExperimentNotFoundError(msg)
    if len(found) > 1:
        ids = ", ".join(sorted(map(str, found))[:5])
        msg = (
            f"{reference!r} stands for {len(found)} experiments; give one id of: {ids}"
        )
        raise UsageError(msg)
    return found.pop()


def _may_see(viewer: Viewer, wanted: UUID) -> bool:
    return viewer.experiments is None or wanted in viewer.experiments
