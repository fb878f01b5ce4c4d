"""Which run wins, and what is said about the choice."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from builders import EPOCH, experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Report
from promptlooper_export.errors import (
    ExperimentNotFoundError,
    InvalidConfigError,
    NothingToExportError,
)
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR, Viewer


def best(database: Database, record: ExperimentRecord) -> Best:
    database.load(record)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        return snapshot.best(record.id)


def report(database: Database, record: ExperimentRecord) -> Report:
    database.load(record)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        return snapshot.report(record.id, top_n=5)


def codes(document: Best | Report) -> list[str]:
    return [notice.code for notice in document.warnings]


def test_the_highest_weighted_mean_wins(database: Database) -> None:
    low = run({"accuracy": 0.9, "fluency": 0.1})
    high = run({"accuracy": 0.5, "fluency": 0.75})
    weights = {"accuracy": 0.25, "fluency": 0.75}
    found = best(database, experiment(low, high, weights=weights))
    assert (found.run_id, found.weighted_score) == (high.id, 0.6875)
    assert found.scores == {"accuracy": 0.5, "fluency": 0.75}


def test_without_weights_the_plain_mean_counts(database: Database) -> None:
    high = run({"a": 0.5, "b": 1.0})
    found = best(database, experiment(run({"a": 0.7}), high))
    assert (found.run_id, found.weighted_score) == (high.id, 0.75)


def test_a_scorer_without_weight_does_not_count_beside_weighted_ones(
    database: Database,
) -> None:
    record = experiment(run({"a": 0.5, "b": 9.0}), run({"a": 0.6}), weights={"a": 1})
    assert best(database, record).weighted_score == 0.6


def test_a_minimised_scorer_counts_with_its_sign_turned(database: Database) -> None:
    slow, fast = run({"latency": 9.0}), run({"latency": 2.0})
    found = best(database, experiment(slow, fast, directions={"latency": "minimize"}))
    assert (found.run_id, found.weighted_score) == (fast.id, -2.0)
    assert found.scores == {"latency": 2.0}


def test_one_direction_is_understood_for_all_scorers(database: Database) -> None:
    slow, fast = run({"latency": 9.0}), run({"latency": 2.0})
    rules: JSON = {"direction": "minimize"}
    assert (
        best(database, experiment(slow, fast, scoring_config=rules)).run_id == fast.id
    )


def test_repeated_judgements_count_as_their_mean(database: Database) -> None:
    steady, lucky = run({"a": [0.7, 0.7]}), run({"a": [1.0, 0.1, 0.4]})
    found = best(database, experiment(steady, lucky))
    assert (found.run_id, found.scores) == (steady.id, {"a": 0.7})


def test_every_document_has_the_same_mean_to_the_last_bit(database: Database) -> None:
    # Added up one by one, ten times 0.1 is 0.9999999999999999.
    record = experiment(run({"a": [0.1] * 10}))
    database.load(record)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        winner, shown = snapshot.best(record.id), snapshot.report(record.id, top_n=5)
        [row] = snapshot.runs(record.id).rows
    [top], [scorer], [period] = shown.top, shown.scorers, shown.history
    assert winner.scores == top.scores == row.scores == {"a": 0.1}
    assert {scorer.values["mean"], scorer.values["median"], period.mean} == {0.1}
    assert {winner.weighted_score, row.weighted_score, top.weighted_score} == {0.1}


def test_no_run_counts_if_half_a_surrogate_pair_is_required(database: Database) -> None:
    record = experiment(run({"a": 0.5}), required=["b"])
    database.load(record)
    database.execute(
        "UPDATE experiments SET scoring_config = ?", '{"required":["\\ud800"]}'
    )
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        found = snapshot.report(record.id, top_n=5)
    assert (found.top, found.counts.scored) == ((), 0)


def test_a_run_without_a_required_scorer_does_not_count(database: Database) -> None:
    lacking, whole = run({"a": 0.9}), run({"a": 0.2, "b": 0.2})
    assert best(database, experiment(lacking, whole, required=["b"])).run_id == whole.id


@pytest.mark.parametrize(
    "status", ["pending", "running", "failed", "cancelled", "pruned"]
)
def test_only_completed_runs_count(database: Database, status: str) -> None:
    unfinished, done = run({"a": 0.9}, status=status), run({"a": 0.1})
    assert best(database, experiment(unfinished, done)).run_id == done.id


def test_negative_scores_win_like_any_other(database: Database) -> None:
    worse, better = run({"a": -5.0}), run({"a": -2.0})
    assert best(database, experiment(worse, better)).run_id == better.id


def test_ties_go_to_the_older_run_and_are_named(database: Database) -> None:
    younger = run({"a": 0.5}, created_at=EPOCH + timedelta(microseconds=2))
    older = run({"a": 0.5}, created_at=EPOCH + timedelta(microseconds=1))
    found = best(database, experiment(younger, older))
    assert found.run_id == older.id
    assert codes(found) == ["tie"]
    assert str(younger.id) in found.warnings[0].message


def test_ties_at_one_moment_go_to_the_smaller_id(database: Database) -> None:
    big = run({"a": 0.5}, id=UUID(int=2**127), created_at=EPOCH)
    small = run({"a": 0.5}, id=UUID(int=2**126), created_at=EPOCH)
    assert best(database, experiment(big, small)).run_id == small.id


def test_equal_scores_tie_in_whatever_order_they_are_summed(database: Database) -> None:
    older = run({"a": [0.3, 0.2, 0.1], "b": 0.1, "c": 0.2, "d": 0.3})
    younger = run({"a": [0.1, 0.2, 0.3], "b": 0.3, "c": 0.2, "d": 0.1})
    found = best(database, experiment(older, younger))
    assert found.run_id == older.id
    assert "tie" in codes(found)


@pytest.mark.parametrize("value", [None, math.inf, -math.inf, math.nan])
def test_a_score_that_is_not_finite_never_counts_and_is_named(
    database: Database, value: float | None
) -> None:
    broken, sound = run({"a": [value, 0.2], "b": value}), run({"a": 0.1})
    found = best(database, experiment(broken, sound))
    assert (found.run_id, found.scores) == (broken.id, {"a": 0.2})
    assert codes(found) == ["score-not-finite"] * 2
    assert {notice.path for notice in found.warnings} == {"scores.a", "scores.b"}


def test_many_unusable_scores_are_summed_up(database: Database) -> None:
    broken = [run({"a": None}) for _ in range(30)]
    found = best(database, experiment(*broken, run({"a": 0.1})))
    assert len(found.warnings) == 11
    assert found.warnings[-1].message.startswith("Further runs")


def test_a_winner_that_lacks_a_scorer_of_others_is_named(database: Database) -> None:
    found = best(database, experiment(run({"a": 0.9}), run({"a": 0.2, "b": 0.3})))
    assert codes(found) == ["winner-lacks-scorer"]
    assert found.warnings[0].path == "scores.b"


def test_a_scorer_that_is_gone_from_all_other_runs_is_not_missed(
    database: Database,
) -> None:
    other = run({"a": 0.2, "b": 0.3})
    record = experiment(run({"a": 0.9}), other)
    assert codes(best(database, record)) == ["winner-lacks-scorer"]
    database.execute("DELETE FROM scores WHERE scorer_name = 'b'")
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        assert codes(snapshot.best(record.id)) == []


def test_a_negative_weight_and_a_sum_of_zero_are_named(database: Database) -> None:
    weights = {"quality": 1.0, "cost": -1.0}
    dear = run({"quality": 0.75, "cost": 0.75})
    cheap = run({"quality": 0.75, "cost": 0.25})
    found = best(database, experiment(dear, cheap, weights=weights))
    assert (found.run_id, found.weighted_score) == (dear.id, 0.75)
    assert codes(found) == ["negative-weight", "weights-sum"]


@pytest.mark.parametrize(
    ("rules", "score"),
    [
        ([1, 2], 0.5),
        ("text", 0.5),
        ({"weights": [1, 2]}, 0.5),
        ({"weights": {"a": "heavy", "b": True}}, 0.5),
        ({"weights": {"a": 1e308, "b": 0}}, 0.2),
        ({"weights": None, "directions": 3, "required": "a"}, 0.5),
        ({"directions": {"a": "sideways"}, "direction": "up"}, 0.5),
        ({"weights": {"a": 0, "b": 0}}, 0.5),
        ({"later": {"nested": [None]}}, 0.5),
    ],
)
def test_rules_that_make_no_sense_are_left_alone(
    database: Database, rules: JSON, score: float
) -> None:
    record = experiment(run({"a": 0.2, "b": 0.8}), scoring_config=rules)
    assert best(database, record).weighted_score == score


def test_weights_beyond_a_double_break_no_writer(database: Database) -> None:
    record = experiment(run({"a": 0.2, "b": 0.8}))
    database.load(record)
    database.execute(
        "UPDATE experiments SET scoring_config = ?",
        '{"weights": {"a": 1e400, "b": 1e-400, "c": 1' + "0" * 400 + "}}",
    )
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        assert snapshot.best(record.id).weighted_score == 0.5


def test_scores_at_the_edge_of_a_double_break_no_writer(database: Database) -> None:
    beyond = run({"a": [1.7e308, 1.7e308]})
    edge, tiny = run({"a": 1.5e308}), run({"a": 1e-300})
    record = experiment(beyond, edge, tiny, weights={"a": 0.5})
    shown = report(database, record)
    assert [item.run_id for item in shown.top] == [beyond.id, edge.id, tiny.id]
    assert [item.weighted_score for item in shown.top] == [1.7e308, 1.5e308, 1e-300]


def test_a_run_whose_score_leaves_a_double_does_not_count(database: Database) -> None:
    beyond = run({"a": 1.7e308, "b": 1.7e308})
    counts = run({"a": 0.5, "b": 0.5})
    shown = report(database, experiment(beyond, counts))
    assert [item.run_id for item in shown.top] == [counts.id]
    assert shown.counts.scored == 1


def test_new_weights_choose_another_winner_at_once(database: Database) -> None:
    first, second = run({"a": 0.9, "b": 0.1}), run({"a": 0.1, "b": 0.8})
    record = experiment(first, second, weights={"a": 1})
    assert best(database, record).run_id == first.id
    database.execute(
        "UPDATE experiments SET scoring_config = ?", json.dumps({"weights": {"b": 1}})
    )
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        assert snapshot.best(record.id).run_id == second.id


def test_without_a_run_that_counts_there_is_nothing_to_export(
    database: Database,
) -> None:
    record = experiment(run({"a": None}), run(), run({"a": 1.0}, status="failed"))
    with pytest.raises(NothingToExportError):
        best(database, record)
    assert report(database, record).winner is None


def test_an_unknown_experiment_is_not_found(database: Database) -> None:
    with (
        open_store(database.url).snapshot(OPERATOR) as snapshot,
        pytest.raises(ExperimentNotFoundError),
    ):
        snapshot.best(UUID(int=7))


def test_a_narrowed_viewer_sees_only_the_named_experiments(database: Database) -> None:
    seen, hidden = experiment(run({"a": 1.0})), experiment(run({"a": 1.0}))
    database.load(seen, hidden)
    viewer = Viewer(subject="ci", experiments=frozenset({seen.id}))
    with open_store(database.url, open_experiments=True).snapshot(viewer) as snapshot:
        assert [summary.id for summary in snapshot.experiments()] == [seen.id]
        assert snapshot.best(seen.id).scores == {"a": 1.0}
        with pytest.raises(ExperimentNotFoundError):
            snapshot.best(hidden.id)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('["no", "object"]', ""),
        ('{"deep": {"value": 1e999}}', "deep.value"),
        ('{"a":' * 501 + "1" + "}" * 501, ""),
        ('{"a":' + "[" * 2000 + "]" * 2000 + "}", ""),
    ],
)
def test_a_winner_whose_config_is_unusable_is_refused_by_run_and_path(
    database: Database, text: str, path: str
) -> None:
    broken = run({"a": 1.0}, text=text)
    record = experiment(broken)
    with pytest.raises(InvalidConfigError) as refusal:
        best(database, record)
    assert refusal.value.members == {"run": str(broken.id), "paths": [path]}
    shown = report(database, record)
    assert shown.winner is not None
    assert shown.winner.config is None
    assert "invalid-config" in codes(shown)


def test_a_config_that_repeats_a_key_is_exported_with_a_warning(
    database: Database,
) -> None:
    found = best(database, experiment(run({"a": 1.0}, text='{"k": 1, "k": 2}')))
    assert (found.config, codes(found)) == ({"k": 2}, ["repeated-key"])


def test_weighted_scores_are_exact_sums_rounded_once(database: Database) -> None:
    runs = [
        run(
            {
                "a": [n % 7 / 10, n % 3 / 10, 0.1],
                "b": n % 5 / 10,
                "c": (n * n) % 11 / 10,
            }
        )
        for n in range(60)
    ]
    weights = {"a": 0.1, "b": 0.2, "c": 0.3}
    record = experiment(*runs, weights=weights, id=UUID(int=99))
    shown = report(database, record)
    terms = {
        item.run_id: math.fsum(weights[s] * v for s, v in item.scores.items())
        / math.fsum(weights.values())
        for item in shown.top
    }
    assert {item.run_id: item.weighted_score for item in shown.top} == terms
    assert shown.counts.scored == 60


def test_moments_in_every_spelling_order_ties_alike(tmp_path: Path) -> None:
    database = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'x.db'}")
    migrate(database.url, create=True)
    spellings = [
        "2026-01-01T00:00:00.000004Z",
        "2026-01-01 02:00:00.000003+02:00",
        "2026-01-01 00:00:00.999999",
        "2025-12-31T23:59:59+00:00",
    ]
    records = [run({"a": 0.5}) for _ in spellings]
    record = experiment(*records)
    database.load(record)
    for item, text in zip(records, spellings, strict=True):
        database.execute("UPDATE runs SET created_at = ? WHERE id = ?", text, item.id)
    with open_store(database.url).snapshot(OPERATOR) as snapshot:
        order = [place.run_id for place in snapshot.report(record.id, top_n=5).top]
    expected = sorted(
        zip(spellings, records, strict=True),
        key=lambda pair: _moment(pair[0]),
    )
    assert order == [item.id for _, item in expected]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
