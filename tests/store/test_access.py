"""Who sees which experiments, decided in SQL."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.errors import ExperimentNotFoundError
from promptlooper_export.store.listing import ExperimentSummary, Page
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR, Viewer

OPEN, GRANTED, LENT = UUID(int=1), UUID(int=2), UUID(int=3)
EVERYBODY = {OPEN}

SEEN: dict[str, tuple[Viewer, set[UUID]]] = {
    "whom it was granted to": (Viewer(subject="ada"), {OPEN, GRANTED}),
    "a member": (Viewer(subject="bob", groups=("lab", "other")), {OPEN, LENT}),
    "both": (Viewer(subject="ada", groups=("lab",)), {OPEN, GRANTED, LENT}),
    "an outsider": (Viewer(subject="eve", groups=("others",)), {OPEN}),
    "an admin": (Viewer(subject="root", admin=True), {OPEN, GRANTED, LENT}),
    "the operator": (OPERATOR, {OPEN, GRANTED, LENT}),
    "whose name is a group's": (Viewer(subject="lab"), {OPEN}),
    "whose group is a user's name": (Viewer(subject="x", groups=("ada",)), {OPEN}),
    "whose name spells a grantee": (Viewer(subject="group:lab"), {OPEN}),
    "whose name begins alike": (Viewer(subject="ad"), {OPEN}),
    "whose name is in capitals": (Viewer(subject="ADA"), {OPEN}),
    "whose name is a pattern": (Viewer(subject="%"), {OPEN}),
    "whose name is a condition": (Viewer(subject="' OR '1'='1"), {OPEN}),
    "a narrowed member": (
        Viewer(subject="bob", groups=("lab",), experiments=frozenset({LENT, GRANTED})),
        {LENT},
    ),
    "a narrowed admin": (
        Viewer(subject="root", admin=True, experiments=frozenset({GRANTED})),
        {GRANTED},
    ),
    "one narrowed to nothing": (Viewer(subject="ada", experiments=frozenset()), set()),
    "one of many groups": (
        Viewer(subject="x", groups=(*(f"g{number}" for number in range(1500)), "lab")),
        {OPEN, LENT},
    ),
}


@pytest.fixture
def filled(database: Database) -> Database:
    for id_ in (OPEN, GRANTED, LENT):
        database.load(experiment(run({"accuracy": 0.5}), id=id_, name=f"n{id_.int}"))
    grant(database, GRANTED, "user:ada")
    grant(database, GRANTED, "user:someone")
    grant(database, LENT, "group:lab")
    return database


def grant(database: Database, id_: UUID, grantee: str) -> None:
    database.execute(f"INSERT INTO {database.grants} VALUES (?, ?)", id_, grantee)


def seen(database: Database, viewer: Viewer, *, is_open: bool = True) -> set[UUID]:
    """Return the experiments of the list, which are those that can be asked for."""
    store = open_store(database.url, open_experiments=is_open)
    with store.snapshot(viewer) as snapshot:
        listed = {row.id for row in snapshot.experiments()}
    ids = (OPEN, GRANTED, LENT)
    opened = {id_ for id_ in ids if opens(store, viewer, id_) is not None}
    found = {id_ for id_ in ids if finds(store, viewer, id_)}
    store.close()
    assert listed == opened == found
    return listed


def opens(store: Store, viewer: Viewer, id_: UUID) -> UUID | None:
    with store.snapshot(viewer) as snapshot:
        try:
            return snapshot.best(id_).experiment_id
        except ExperimentNotFoundError:
            return None


def finds(store: Store, viewer: Viewer, id_: UUID) -> bool:
    with store.snapshot(viewer) as snapshot:
        try:
            return snapshot.find(f"n{id_.int}") == id_
        except ExperimentNotFoundError:
            return False


@pytest.mark.parametrize("who", SEEN)
def test_everybody_sees_what_is_theirs_to_see(filled: Database, who: str) -> None:
    viewer, expected = SEEN[who]
    assert seen(filled, viewer) == expected
    closed = expected if viewer.admin else expected - {OPEN}
    assert seen(filled, viewer, is_open=False) == closed


def test_a_store_is_closed_unless_it_is_told_otherwise(filled: Database) -> None:
    with open_store(filled.url).snapshot(Viewer(subject="eve")) as snapshot:
        assert list(snapshot.experiments()) == []


def delete(database: Database) -> None:
    runs = "SELECT id FROM runs WHERE experiment_id = ?"
    database.execute(f"DELETE FROM scores WHERE run_id IN ({runs})", GRANTED)
    database.execute("DELETE FROM runs WHERE experiment_id = ?", GRANTED)
    database.execute("DELETE FROM experiments WHERE id = ?", GRANTED)


def come_again(database: Database) -> UUID:
    delete(database)
    database.load(experiment(id=GRANTED))
    return GRANTED


def be_renamed(database: Database) -> UUID:
    database.execute("UPDATE experiments SET name = 'x' WHERE id = ?", GRANTED)
    return GRANTED


@pytest.mark.parametrize("change", [come_again, be_renamed])
def test_nothing_that_the_runner_does_opens_an_experiment(
    filled: Database, change: Callable[[Database], UUID]
) -> None:
    id_ = change(filled)
    store = open_store(filled.url, open_experiments=True)
    with store.snapshot(Viewer(subject="eve")) as snapshot:
        assert {row.id for row in snapshot.experiments()} == EVERYBODY
    for subject in ("ada", "someone"):
        with store.snapshot(Viewer(subject=subject)) as snapshot:
            assert id_ in {row.id for row in snapshot.experiments()}
    store.close()


def test_grants_do_not_hinder_the_runners_deletes(filled: Database) -> None:
    delete(filled)
    assert seen(filled, OPERATOR) == {OPEN, LENT}


def test_pages_are_made_of_what_is_to_be_seen(database: Database) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [experiment(created_at=moment, id=UUID(int=n)) for n in range(1, 8)]
    database.load(*rows)
    for number in (1, 3, 7):
        grant(database, UUID(int=number), "user:ada")
    store = open_store(database.url, open_experiments=True)
    with store.snapshot(Viewer(subject="eve")) as snapshot:
        assert page(snapshot.experiments(Page(limit=2))) == [2, 4]
        assert page(snapshot.experiments(Page(limit=2, after=UUID(int=4)))) == [5, 6]
        assert page(snapshot.experiments(Page(after=UUID(int=6)))) == []
        for hidden in (3, 99):
            with pytest.raises(ExperimentNotFoundError):
                page(snapshot.experiments(Page(after=UUID(int=hidden))))
    store.close()


def page(rows: Iterator[ExperimentSummary]) -> list[int]:
    return [row.id.int for row in rows]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_order_is_that_of_time_however_it_is_spelt(database: Database) -> None:
    spellings = [
        "2026-01-01 00:00:00.5",
        "2026-01-01T00:00:01Z",
        "2026-01-01 03:00:02+03:00",
        "2025-12-31 23:00:03.000001-01:00",
        "2026-01-01 00:00:03.000002",
    ]
    for number, spelling in enumerate(spellings, start=1):
        database.load(experiment(id=UUID(int=number)))
        database.execute(
            "UPDATE experiments SET created_at = ? WHERE id = ?",
            spelling,
            UUID(int=number),
        )
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        assert page(snapshot.experiments()) == [5, 4, 3, 2, 1]
        assert page(snapshot.experiments(Page(after=UUID(int=4), limit=2))) == [3, 2]
