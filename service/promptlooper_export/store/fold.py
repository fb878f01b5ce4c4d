"""Housekeeping: fold the ranking's log, rebuild what new weights made stale."""

from promptlooper_export.store.database import (
    Session,
    open_for_writing,
    sqlite_path,
    writing,
)

_STALE = "SELECT DISTINCT experiment_id FROM export_ranking_stale"

_SQLITE_FOLD = """
INSERT INTO export_ranking
SELECT run_id, experiment_id, created, weighted_score, scorers, not_finite
FROM export_run_ranking WHERE run_id IN ({})
"""

# Backends that are gone leave rows behind, which every look at a revision adds up. The
# sum stays what it is; a row that somebody writes to is left for the next time.
_MERGE_REVISIONS = """
WITH gone AS (
    DELETE FROM export_revision
    WHERE (experiment_id, backend) IN (
        SELECT experiment_id, backend FROM export_revision
        WHERE backend <> 0 AND backend NOT IN (SELECT pid FROM pg_stat_activity)
        FOR UPDATE SKIP LOCKED
    )
    RETURNING experiment_id, number
)
INSERT INTO export_revision
SELECT experiment_id, 0, sum(number) FROM gone GROUP BY experiment_id
ON CONFLICT (experiment_id, backend)
DO UPDATE SET number = export_revision.number + excluded.number
"""

_BATCH = 2000
"""Runs ranked in one transaction of SQLite: the runner waits for no more."""


def fold(url: str) -> int:
    """Fold the log into the ranking and rebuild what new weights made stale.

    On PostgreSQL, also sum up the revisions that closed connections left behind.
    Returns how many log entries and stale experiments were done. Needed only where
    nothing writes scores any more: whoever does folds as well.
    """
    database = open_for_writing(url)
    if sqlite_path(url) is None:
        with writing(database) as session:
            done = session.all("SELECT export_fold(9223372036854775807)")[0][0]
            for (experiment,) in session.all(f"{_STALE} WHERE export_lock()"):
                session.run("SELECT export_rebuild(?)", experiment)
                done += 1
            session.run(_MERGE_REVISIONS)
        return int(done)
    done = 0
    with writing(database) as session:
        stale = session.all("SELECT id, experiment_id FROM export_ranking_stale")
        logged = [
            row[0] for row in session.all("SELECT run_id FROM export_ranking_log")
        ]
        _rank_again(session, logged)
        done += session.run("DELETE FROM export_ranking_log")
    for entry, experiment in stale:
        with writing(database) as session:
            runs = session.all(
                "SELECT id FROM runs WHERE experiment_id = ? "
                "UNION SELECT run_id FROM export_ranking WHERE experiment_id = ?",
                experiment,
                experiment,
            )
        for start in range(0, len(runs), _BATCH):
            with writing(database) as session:
                _rank_again(session, [run for (run,) in runs[start : start + _BATCH]])
        with writing(database) as session:
            done += session.run("DELETE FROM export_ranking_stale WHERE id = ?", entry)
    return done


def _rank_again(session: Session, runs: list[str]) -> None:
    marks = ", ".join("?" * len(runs))
    session.run(f"DELETE FROM export_ranking WHERE run_id IN ({marks})", *runs)
    session.run(_SQLITE_FOLD.format(marks), *runs)
