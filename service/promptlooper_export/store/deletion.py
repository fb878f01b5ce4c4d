"""Delete experiments from a database of our own, and hand on their grants."""

from contextlib import ExitStack
from uuid import UUID

from promptlooper_export.store.connection import Session, open_for_writing, writing
from promptlooper_export.store.migrate import require_own
from promptlooper_export.store.rows import row_id
from promptlooper_export.store.state import in_state, place, writing_state

ELSEWHERE = "Delete the experiment with the runner."

_IDS = "SELECT id FROM experiments"

# From the leaves up, because rows refer to those that are deleted after them.
_DELETE = (
    """
    DELETE FROM stage_results
    WHERE run_id IN (SELECT id FROM runs WHERE experiment_id = ?)
    """,
    "DELETE FROM scores WHERE run_id IN (SELECT id FROM runs WHERE experiment_id = ?)",
    "DELETE FROM runs WHERE experiment_id = ?",
    "DELETE FROM experiments WHERE id = ?",
)

_FORGET = "DELETE FROM {grants} WHERE experiment_id = ?"

_HAND_ON = """
INSERT INTO {grants} SELECT ?, grantee FROM {grants} WHERE experiment_id = ?
ON CONFLICT DO NOTHING
"""


# Two that replace or delete at once would each miss what the other one writes. Readers
# do not wait for this lock; SQLite's transaction is one already.
_LOCK = "LOCK TABLE experiments IN SHARE ROW EXCLUSIVE MODE"


def wait_for_turn(session: Session) -> None:
    """Wait until no other process writes experiments."""
    if session.kind == "postgresql":
        session.run(_LOCK)


def require_deletable(session: Session) -> None:
    """Raise MigrationError for a database that is not our own."""
    require_own(session, instead=ELSEWHERE)


def delete(url: str, experiment: UUID, *, state_url: str | None) -> None:
    """Delete an experiment, its runs with all that they have, and its grants.

    All go in one transaction, but grants that are kept in another database go right
    after it. Raises MigrationError for a database that is not our own, and
    DatabaseUnavailableError; then nothing is deleted.
    """
    with ExitStack() as stack:
        where = place(url, state_url)
        # Opened first, so that nothing is deleted if it cannot be. Committed last,
        # because an experiment without its grants would be open to everybody.
        apart = None
        if where not in {None, url}:
            apart = stack.enter_context(writing_state(url, state_url))
        with writing(open_for_writing(url)) as session:
            require_deletable(session)
            wait_for_turn(session)
            for (key,) in session.all(_IDS):
                if row_id(key, "experiments") == experiment:
                    remove(session, key)
            if where == url:
                forget(session, experiment)
        if apart is not None:
            forget(apart, experiment)


def remove(session: Session, key: object) -> None:
    """Delete the rows of an experiment, by its id as it is stored."""
    for statement in _DELETE:
        session.run(statement, key)


def forget(state: Session, experiment: UUID) -> None:
    """Delete the grants of an experiment."""
    state.run(in_state(state, _FORGET), state.key(experiment))


def hand_on(state: Session, old: UUID, new: UUID) -> None:
    """Grant an experiment to all that another one is granted to."""
    state.run(in_state(state, _HAND_ON), state.key(new), state.key(old))
