"""The revision of an experiment: another number after whatever an export can show."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from builders import EPOCH, experiment, run
from databases import Database
from promptlooper_export.documents import StageResult
from promptlooper_export.errors import ExperimentNotFoundError
from promptlooper_export.store.fold import fold
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.models import TABLES
from promptlooper_export.store.open import open_store
from promptlooper_export.viewer import OPERATOR, Viewer

HERE, THERE, BARE = UUID(int=1), UUID(int=2), UUID(int=3)
SCORED, OTHER, PLAIN = UUID(int=11), UUID(int=12), UUID(int=13)
NEW = UUID(int=99)
LATER = datetime(2030, 1, 1, tzinfo=UTC)

# A value that no row has, for each type of a column.
VALUES = {
    "TEXT": "other",
    "json": '{"other": 1}',
    "TIMESTAMPTZ": LATER,
    "BIGINT": 999,
    "BIGAUTO": 999,
    "DOUBLE": 0.125,
    "UUID": NEW,
}
COLUMNS = [
    (model._meta.table_name, name, VALUES.get(field.field_type, NEW))  # noqa: SLF001
    for model in TABLES
    for name, field in model._meta.columns.items()  # noqa: SLF001
]
# A row whose id nothing refers to; of the other tables, the first row is HERE's.
LOOSE = {("experiments", "id"): BARE, ("runs", "id"): PLAIN}
FIRST = {"experiments": HERE, "runs": SCORED, "scores": 1, "stage_results": 1}
MOVES = {"experiment_id": THERE, "run_id": OTHER}

INSERT_RUN = (
    "INSERT INTO runs "
    "(id, experiment_id, status, config, config_hash, created_at, updated_at) "
    "VALUES (?, ?, 'failed', '{}', 'h', ?, ?)"
)
INSERTS = {
    "runs": (
        INSERT_RUN,
        (NEW, HERE, LATER, LATER),
    ),
    "scores": (
        "INSERT INTO scores (run_id, scorer_name, value) VALUES (?, 'a', 1)",
        (SCORED,),
    ),
    "stage_results": (
        "INSERT INTO stage_results (run_id, stage_name) VALUES (?, 's')",
        (SCORED,),
    ),
}
DELETES = {
    "scores": ("DELETE FROM scores WHERE run_id = ?", SCORED),
    "stage_results": ("DELETE FROM stage_results WHERE run_id = ?", SCORED),
    "runs": ("DELETE FROM runs WHERE id = ?", PLAIN),
}
# A row written again, with the same id, under another parent.
REWRITES = {
    "runs": (
        "id, experiment_id, status, config, config_hash, created_at, updated_at",
        "?, ?, 'failed', '{}', 'h', '2026-01-01 00:00:00', '2026-01-01 00:00:00'",
        (PLAIN, THERE),
    ),
    "scores": ("id, run_id, scorer_name, value", "?, ?, 'a', 1", (1, OTHER)),
    "stage_results": ("id, run_id, stage_name", "?, ?, 's'", (1, OTHER)),
}
RENUMBERED = {"runs": (OTHER, PLAIN), "scores": (2, 1), "stage_results": (2, 1)}


def revisions(database: Database) -> dict[UUID, int]:
    """Read the revision of every experiment."""
    store = open_store(database.url)
    with store.snapshot(OPERATOR) as snapshot:
        found = {
            summary.id: snapshot.revision(summary.id)
            for summary in snapshot.experiments()
        }
    store.close()
    return found


def changed(before: dict[UUID, int], after: dict[UUID, int]) -> set[UUID]:
    """Return the experiments that have another revision, or one for the first time."""
    return {id_ for id_, number in after.items() if before.get(id_) != number}


def fill(database: Database) -> None:
    stage = StageResult(
        stage_name="draft", output="text", tokens_in=1, tokens_out=2, duration_ms=3
    )
    database.load(
        experiment(
            run({"accuracy": 0.5}, id=SCORED, stage_results=(stage,)),
            run(id=PLAIN),
            id=HERE,
        ),
        experiment(run({"accuracy": 0.5}, id=OTHER, stage_results=(stage,)), id=THERE),
        experiment(id=BARE),
    )


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database)
    return database


@pytest.mark.parametrize(("table", "column", "value"), COLUMNS)
def test_every_column_counts(
    filled: Database, table: str, column: str, value: object
) -> None:
    before = revisions(filled)
    row = LOOSE.get((table, column), FIRST[table])
    filled.execute(
        f"UPDATE {table} SET {column} = ? WHERE id = ?", MOVES.get(column, value), row
    )
    expected = {HERE, THERE} if column in MOVES else {HERE}
    if (table, column) == ("experiments", "id"):
        expected = {NEW}
    assert changed(before, revisions(filled)) == expected


@pytest.mark.parametrize("table", INSERTS)
def test_a_new_row_counts(filled: Database, table: str) -> None:
    before = revisions(filled)
    statement, values = INSERTS[table]
    filled.execute(statement, *values)
    assert changed(before, revisions(filled)) == {HERE}


@pytest.mark.parametrize("table", DELETES)
def test_a_row_taken_away_counts(filled: Database, table: str) -> None:
    before = revisions(filled)
    filled.execute(*DELETES[table])
    assert changed(before, revisions(filled)) == {HERE}


def test_an_experiment_that_comes_again_has_another_revision(filled: Database) -> None:
    before = revisions(filled)
    filled.execute("DELETE FROM experiments WHERE id = ?", BARE)
    filled.load(experiment(id=BARE))
    assert changed(before, revisions(filled)) == {BARE}


@pytest.mark.parametrize("table", REWRITES)
def test_a_row_rewritten_elsewhere_counts_here_and_there(
    filled: Database, table: str
) -> None:
    before = revisions(filled)
    columns, values, bound = REWRITES[table]
    if filled.kind == "sqlite":
        statement = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({values})"
    else:
        names = columns.split(", ")[1:]
        updates = ", ".join(f"{name} = excluded.{name}" for name in names)
        statement = (
            f"INSERT INTO {table} ({columns}) VALUES ({values}) "
            f"ON CONFLICT (id) DO UPDATE SET {updates}"
        )
    filled.execute(statement, *bound)
    assert changed(before, revisions(filled)) == {HERE, THERE}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", RENUMBERED)
def test_a_row_whose_id_another_takes_counts(filled: Database, table: str) -> None:
    before = revisions(filled)
    filled.execute(
        f"UPDATE OR REPLACE {table} SET id = ? WHERE id = ?",
        *reversed(RENUMBERED[table]),
    )
    assert changed(before, revisions(filled)) == {HERE, THERE}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["scores", "stage_results", "runs CASCADE"])
def test_truncate_counts_for_all(filled: Database, table: str) -> None:
    before = revisions(filled)
    filled.execute(f"TRUNCATE {table}")
    assert changed(before, revisions(filled)) == {HERE, THERE, BARE}


def test_what_leaves_the_rows_alone_leaves_the_revision(filled: Database) -> None:
    before = revisions(filled)
    filled.execute("UPDATE runs SET status = 'failed' WHERE id = ?", NEW)
    filled.execute("DELETE FROM scores WHERE run_id = ?", NEW)
    assert revisions(filled) == before


def test_no_revision_comes_again_after_the_way_back(filled: Database) -> None:
    before = revisions(filled)
    seen = set(before.values())
    for _ in range(3):
        migrate(filled.url, target=0)
        migrate(filled.url)
        now = revisions(filled)
        assert changed(before, now) == {HERE, THERE, BARE}
        assert not seen & set(now.values())
        seen |= set(now.values())


def test_the_same_changes_elsewhere_give_other_revisions(
    database: Database, empty_database: Database
) -> None:
    migrate(empty_database.url)
    fill(database)
    fill(empty_database)
    both = revisions(database), revisions(empty_database)
    assert changed(*both) == {HERE, THERE, BARE}


def test_a_runners_experiments_have_a_revision_once_adopted(
    runner_database: Database,
) -> None:
    runner_database.execute(
        "INSERT INTO experiments (id, name, status, created_at, updated_at) "
        "VALUES (?, 'x', 'running', ?, ?)",
        HERE,
        LATER,
        LATER,
    )
    migrate(runner_database.url)
    assert revisions(runner_database)[HERE] > 0


def test_who_may_not_see_an_experiment_learns_no_revision(filled: Database) -> None:
    narrow = Viewer(subject="bob", scopes=frozenset(), experiments=frozenset({THERE}))
    with open_store(filled.url, open_experiments=True).snapshot(narrow) as snapshot:
        assert snapshot.revision(THERE)
        for forbidden in (HERE, NEW):
            with pytest.raises(ExperimentNotFoundError):
                snapshot.revision(forbidden)
            with pytest.raises(ExperimentNotFoundError):
                snapshot.last_change(forbidden)


def last_change(database: Database) -> datetime:
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        return snapshot.last_change(HERE)


def test_the_last_change_is_the_latest_that_the_data_name(database: Database) -> None:
    late = EPOCH + timedelta(days=3, microseconds=5)
    database.load(
        experiment(run(updated_at=EPOCH), run(updated_at=late), run(), id=HERE),
        experiment(run(updated_at=LATER), id=THERE),
    )
    assert last_change(database) == late
    database.execute("UPDATE experiments SET updated_at = ? WHERE id = ?", LATER, HERE)
    assert last_change(database) == LATER


def test_without_runs_the_last_change_is_the_experiments_own(
    database: Database,
) -> None:
    database.load(experiment(id=HERE, created_at=EPOCH))
    assert last_change(database) == EPOCH


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_change_that_commits_late_is_seen(filled: Database) -> None:
    with psycopg.connect(filled.url) as early, psycopg.connect(filled.url) as late:
        late.execute("UPDATE runs SET error = 'x' WHERE id = %s", (SCORED,))
        early.execute("UPDATE runs SET error = 'x' WHERE id = %s", (PLAIN,))
        before = revisions(filled)
        early.commit()
        between = revisions(filled)
        late.commit()
        after = revisions(filled)
    assert changed(before, between) == changed(between, after) == {HERE}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_writers_never_wait_for_the_revision(filled: Database) -> None:
    with psycopg.connect(filled.url) as first, psycopg.connect(filled.url) as second:
        for connection in (first, second):
            connection.execute("SET lock_timeout = '200ms'")
            connection.commit()
        for connection, runs in ((first, (SCORED, OTHER)), (second, (OTHER, SCORED))):
            connection.execute(
                "INSERT INTO stage_results (run_id, stage_name) VALUES (%s, 's')",
                (runs[0],),
            )
        for connection, runs in ((first, (SCORED, OTHER)), (second, (OTHER, SCORED))):
            connection.execute(
                "INSERT INTO stage_results (run_id, stage_name) VALUES (%s, 's')",
                (runs[1],),
            )


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_a_savepoint_took_back_is_no_change(filled: Database) -> None:
    before = revisions(filled)
    with psycopg.connect(filled.url) as connection:
        with connection.transaction(), connection.transaction(force_rollback=True):
            connection.execute("UPDATE runs SET error = 'x'")
        connection.execute("UPDATE runs SET error = 'x' WHERE id = %s", (SCORED,))
    assert changed(before, revisions(filled)) == {HERE}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_fold_sums_up_closed_connections_and_changes_no_revision(
    filled: Database,
) -> None:
    def rows() -> int:
        (found,) = filled.execute(
            "SELECT count(*) FROM export_revision WHERE experiment_id = ?", HERE
        )
        return int(found[0])

    for number in range(5):  # each on a connection of its own
        filled.execute("UPDATE runs SET tokens_in = ? WHERE id = ?", number, SCORED)
    with psycopg.connect(filled.url) as writing, psycopg.connect(filled.url) as idle:
        idle.execute("UPDATE runs SET error = 'x' WHERE id = %s", (PLAIN,))
        idle.commit()
        writing.execute("UPDATE runs SET error = 'x' WHERE id = %s", (SCORED,))
        before = revisions(filled)
        assert rows() > 5
        # The sum, and the one of the idle connection; others may still be closing.
        while rows() > 2:
            fold(filled.url)
        assert rows() == 2
        assert revisions(filled) == before
        writing.commit()
    assert changed(before, revisions(filled)) == {HERE}
    now = revisions(filled)
    while rows() > 1:
        fold(filled.url)
    assert revisions(filled) == now
    filled.execute("UPDATE runs SET error = 'y' WHERE id = ?", SCORED)
    assert changed(now, revisions(filled)) == {HERE}
