"""Write imported experiments: all of them or none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from peewee import DataError, IntegrityError

from promptlooper_export.errors import SourceError
from promptlooper_export.records import ExperimentRecord, Records
from promptlooper_export.store.batches import (
    batches,
    insert,
    json_text,
    new_ones,
    refused,
    stored,
)
from promptlooper_export.store.connection import Session, open_for_writing, writing
from promptlooper_export.store.deletion import (
    forget,
    hand_on,
    remove,
    wait_for_turn,
)
from promptlooper_export.store.migrate import require_own
from promptlooper_export.store.rows import row_id
from promptlooper_export.store.scoring import doubts, faults
from promptlooper_export.store.state import place, writing_state

_EXPERIMENT = """
INSERT INTO experiments (
    id, name, description, status, parameter_space, scoring_config,
    created_at, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_IS_THERE = "SELECT name FROM experiments WHERE id = ?"

_NAMED = "SELECT id FROM experiments WHERE name = ? ORDER BY id LIMIT 6"

# Runs without a name are not among them: NULL is not counted.
_REPEATED = (
    "SELECT count(name) - count(DISTINCT name) FROM runs WHERE experiment_id = ?"
)

_REPEATED_NAME = """
SELECT name FROM runs WHERE experiment_id = ? AND name IS NOT NULL
GROUP BY name HAVING count(*) > 1 ORDER BY name LIMIT 1
"""


@dataclass(kw_only=True)
class Repeated:
    """How many new rows have a name that was there already, and one such name."""

    count: int = 0
    example: str = ""


@dataclass(kw_only=True)
class Written:
    """Counts how many experiments and runs are new, and how many runs were there.

    `replaced` of the experiments took the place of others.
    """

    experiments: int = 0
    runs: int = 0
    unchanged: int = 0
    replaced: int = 0
    experiment_names: Repeated = field(default_factory=Repeated)
    run_names: Repeated = field(default_factory=Repeated)


def write(
    url: str, records: Records, *, replace: bool = False, state_url: str | None = None
) -> Written:
    """Write the records in one transaction; rows whose id is there stay as they are.

    With `replace`, an experiment takes the place of the one that has its name, and
    inherits its grants. Raises what the importer raises while it is read, SourceError
    for a row that the database refuses and for a name that several experiments have,
    MigrationError for a database that is not our own, and DatabaseUnavailableError;
    then nothing is written.
    """
    written = Written()
    replacement = _Replacement(url, state_url) if replace else None
    # Records are read while the transaction is open: a file of any size passes through,
    # and a broken line near its end undoes everything.
    with writing(open_for_writing(url)) as session:
        require_own(session)
        if replace:
            wait_for_turn(session)
        for record in records:
            if replacement is not None:
                written.replaced += replacement.make_room(session, record)
            _write(session, record, written, is_alone=replace)
    if replacement is not None:
        replacement.clear_up()
    return written


def understood(records: Records, warn: Callable[[str], None]) -> Records:
    """Yield the records; `warn` of rules that are understood and may surprise.

    Raises SourceError for a weight or a direction word that is not understood: it would
    be left out, and another run win.
    """
    for record in records:
        place = record.place or f"experiment {record.id}"
        for fault in faults(record.scoring_config):
            msg = f"{place}: {fault.what}{fault.hint or f'; correct {fault.path}'}"
            raise SourceError(msg)
        # Which scorers there are is not known before the runs are read.
        for notice in doubts(record.scoring_config, {}, frozenset()):
            warn(f"{place}: {notice.message}")
        yield record


class _Replacement:
    """Takes experiments out of the way of those that replace them.

    Grants go from the old id to the new one. If they are kept in another database, they
    are copied before the experiments change and deleted after it: whatever happens in
    between, no experiment is without its grants.
    """

    def __init__(self, url: str, state_url: str | None) -> None:
        self._urls = (url, state_url)
        self._state = place(url, state_url)
        self._new: dict[str, UUID] = {}
        self._gone: list[UUID] = []

    def make_room(self, session: Session, record: ExperimentRecord) -> bool:
        """Remove the experiment of the record's name; return whether there was one."""
        where = record.place or f"experiment {record.id}"
        # An importer may hand out an experiment in parts, such as a file for each.
        if self._new.get(record.name) == record.id:
            return False
        if record.name in self._new:
            msg = (
                f"{where}: a second experiment named {record.name!r}; with --replace, "
                "each name may be there once"
            )
            raise SourceError(msg)
        self._new[record.name] = record.id
        keys = [key for (key,) in session.all(_NAMED, record.name)]
        if len(keys) > 1:
            ids = ", ".join(str(row_id(key, "experiments")) for key in keys)
            msg = (
                f"{where}: {record.name!r} is the name of several experiments: {ids}; "
                "delete all but one of them, then replace it"
            )
            raise SourceError(msg)
        for key in keys:
            remove(session, key)
            self._hand_on(session, row_id(key, "experiments"), record.id)
        other = session.one(_IS_THERE, session.key(record.id))
        if other is not None:
            msg = (
                f"{where}: its id {record.id} belongs to the experiment {other[0]!r}; "
                "delete that one, or give this one its name"
            )
            raise SourceError(msg)
        return bool(keys)

    def clear_up(self) -> None:
        """Delete the grants of what is gone, if they are in another database."""
        if self._gone:
            with writing_state(*self._urls) as state:
                for experiment in self._gone:
                    forget(state, experiment)

    def _hand_on(self, session: Session, old: UUID, new: UUID) -> None:
        if old == new or self._state is None:
            return
        if self._state == self._urls[0]:
            hand_on(session, old, new)
            forget(session, old)
            return
        with writing_state(*self._urls) as state:
            hand_on(state, old, new)
        self._gone.append(old)


def _write(
    session: Session, record: ExperimentRecord, written: Written, *, is_alone: bool
) -> None:
    """Write an experiment; if it is to be alone, no run may be another one's."""
    key = session.key(record.id)
    is_new = session.one(_IS_THERE, key) is None
    if is_new:
        if session.one(_NAMED, record.name) is not None:
            written.experiment_names.count += 1
            written.experiment_names.example = record.name
        with _named(record):
            _insert_experiment(session, record)
        written.experiments += 1
    repeated = 0 if is_new else session.value(_REPEATED, key)
    for batch in batches(record.runs):
        new = new_ones(session, batch)
        if is_alone and len(new) < len(batch):
            (other, *_) = (run.id for run in batch if run not in new)
            msg = (
                f"{record.place or record.name}: its run {other} belongs to another "
                "experiment; give the run an id of its own"
            )
            raise SourceError(msg)
        insert(session, record.id, new)
        written.runs += len(new)
        written.unchanged += len(batch) - len(new)
    more = session.value(_REPEATED, key) - repeated
    if more > 0:
        written.run_names.count += more
        written.run_names.example = session.value(_REPEATED_NAME, key)


@contextmanager
def _named(record: ExperimentRecord) -> Iterator[None]:
    try:
        yield
    except (IntegrityError, DataError) as error:
        refused("experiment", record.id, error)


def _insert_experiment(session: Session, record: ExperimentRecord) -> None:
    session.run(
        _EXPERIMENT,
        session.key(record.id),
        record.name,
        record.description,
        record.status,
        json_text(record.parameter_space),
        json_text(record.scoring_config),
        stored(session, record.created_at),
        stored(session, record.updated_at),
    )
