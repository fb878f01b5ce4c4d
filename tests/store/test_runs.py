"""Every run of an experiment, as the document of tables holds it."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

from builders import EPOCH, experiment, run
from databases import Database
from promptlooper_export.documents import Run, Runs, StageResult
from promptlooper_export.interchange import ExperimentRecord, RunRecord
from promptlooper_export.store import runs as store_runs
from promptlooper_export.store.open import open_store
from promptlooper_export.viewer import OPERATOR


def read(database: Database, record: ExperimentRecord) -> tuple[Runs, list[Run]]:
    database.load(record)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        document = snapshot.runs(record.id)
        _ = document.columns
        return document, list(document.rows)


def places(rows: list[Run]) -> list[tuple[str | None, float | None, int | None]]:
    return [(row.name, row.weighted_score, row.rank) for row in rows]


def test_runs_of_any_status_stand_by_age_then_id_each_with_its_rank(
    database: Database,
) -> None:
    late = EPOCH + timedelta(hours=1)
    record = experiment(
        run({"a": 0.2}, name="third", created_at=late),
        run({"a": 0.9}, name="first"),
        run({"a": 1.0}, name="failed", status="failed"),
        run(name="unscored"),
        run({"a": 0.5}, name="second"),
    )

    document, rows = read(database, record)

    assert document.count == 5
    assert places(rows) == [
        ("first", 0.9, 1),
        ("failed", None, None),
        ("unscored", None, None),
        ("second", 0.5, 2),
        ("third", 0.2, 3),
    ]


def test_runs_of_one_moment_stand_by_id(database: Database) -> None:
    twins = [run(created_at=EPOCH) for _ in range(20)]

    _, rows = read(database, experiment(*twins))

    assert [row.run_id for row in rows] == sorted(twin.id for twin in twins)


def test_a_run_comes_out_as_it_went_in(database: Database) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    stage = StageResult(
        stage_name="draft", output="é", tokens_in=1, tokens_out=2, duration_ms=3
    )
    went_in = run(
        {"a": [0.25, 0.75], "b": -1.0},
        config={"model": {"name": "m"}, "stop": ["\n"], "seed": None},
        name="n",
        tokens_in=7,
        tokens_out=8,
        duration_ms=9,
        cost_usd=0.125,
        error="odd",
        tags=["x", {"y": 1}],
        stage_results=(stage,),
        started_at=moment,
        finished_at=moment,
        updated_at=moment,
    )

    document, [row] = read(database, experiment(went_in))

    assert row == Run(
        run_id=went_in.id,
        name="n",
        status="completed",
        weighted_score=-0.25,
        rank=1,
        config={"model": {"name": "m"}, "stop": ["\n"], "seed": None},
        config_hash=went_in.config_hash,
        scores={"a": 0.5, "b": -1.0},
        tokens_in=7,
        tokens_out=8,
        duration_ms=9,
        cost_usd=0.125,
        error="odd",
        tags=["x", {"y": 1}],
        stage_results=(stage,),
        created_at=went_in.created_at,
        started_at=moment,
        finished_at=moment,
        updated_at=moment,
    )
    assert document.columns.config == ("model.name", "seed", "stop")
    assert document.columns.scores == ("a", "b")


def test_a_config_that_is_no_json_object_is_named_and_stands_as_none(
    database: Database,
) -> None:
    broken = [run({"a": 0.1}, text="[1]") for _ in range(store_runs.NAMED + 3)]

    document, rows = read(database, experiment(*broken))

    assert {row.config for row in rows} == {None}
    assert [row.rank for row in rows] == list(range(1, 14))
    *named, rest = document.warnings
    assert [notice.code for notice in named] == ["invalid-config"] * store_runs.NAMED
    assert str(broken[0].id) in named[0].message
    assert rest.message == "There are 3 more warnings of this kind."


def test_a_score_that_is_not_finite_is_named_whatever_the_run_s_status(
    database: Database,
) -> None:
    record = experiment(run({"a": [None, 0.5]}), run({"b": None}, status="failed"))

    document, rows = read(database, record)

    assert [dict(row.scores) for row in rows] == [{"a": 0.5}, {}]
    assert [notice.path for notice in document.warnings] == ["scores.a", "scores.b"]
    assert document.columns.scores == ("a",)


def test_many_runs_are_read_in_batches_without_a_gap(database: Database) -> None:
    size = 2 * store_runs.BATCH + 1

    def records() -> list[RunRecord]:
        return [run({"a": float(number)}, name=str(number)) for number in range(size)]

    _, rows = read(database, experiment(*records()))

    assert places(rows) == [
        (str(number), float(number), size - number) for number in range(size)
    ]


def test_an_experiment_without_runs_has_an_empty_document(database: Database) -> None:
    document, rows = read(database, experiment())

    assert (document.count, rows, document.columns.config) == (0, [], ())


def test_every_column_of_a_run_is_in_the_order_of_the_contract() -> None:
    assert " ".join(field.name for field in fields(Run)) == (
        "run_id name status weighted_score rank config config_hash scores tokens_in "
        "tokens_out duration_ms cost_usd error tags stage_results created_at "
        "started_at finished_at updated_at"
    )
