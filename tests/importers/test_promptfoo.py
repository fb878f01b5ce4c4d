import json
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databases import Database
from importers.foreign import unpacked
from importers.sources import DATA, by_case, read, read_one, total
from promptlooper_export.errors import SourceError
from promptlooper_export.records import RunRecord

RESULTS = DATA / "promptfoo" / "results.json"
STORE = DATA / "promptfoo" / "promptfoo.db.xz"
SHEET = DATA / "promptfoo" / "results.csv"

NAMES = [
    f"[{provider}] {prompt}"
    for provider in ("echo-plain", "js-ok", "js-sometimes-fails")
    for prompt in ("short", "long, with comma")
]


@pytest.fixture(scope="module")
def runs() -> dict[str | None, RunRecord]:
    return {run.name: run for run in read_one(RESULTS)[1]}


@pytest.fixture
def held() -> dict[str, object]:
    """Give the file's content, to be changed."""
    content: dict[str, object] = json.loads(RESULTS.read_bytes())
    return content


def changed(tmp_path: Path, held: object) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(held))
    return path


def test_each_prompt_with_its_provider_is_a_run(
    runs: dict[str | None, RunRecord],
) -> None:
    assert list(runs) == NAMES
    assert json.loads(runs["[js-ok] short"].config) == {
        "provider": {
            "id": "file://prov_ok.js",
            "label": "js-ok",
            "config": {"temperature": 0.2, "max_tokens": 64},
        },
        "prompt": {"label": "short", "raw": "Answer: {{answer}}"},
    }


def test_scores_sum_up_to_promptfoos_own(runs: dict[str | None, RunRecord]) -> None:
    # metrics.score and the counts of passed tests in the file.
    assert [total(run, "score") for run in runs.values()] == pytest.approx(
        [10, 8.550041709175995, 10, 8.526252772343144, 6.119433114983726,
         5.745683877775713],
        rel=1e-15,
    )  # fmt: skip
    assert [total(run, "pass") for run in runs.values()] == [10, 8, 10, 8, 4, 4]


def test_named_metrics_are_not_multiplied_by_their_weights(
    runs: dict[str | None, RunRecord],
) -> None:
    run = runs["[js-sometimes-fails] short"]
    of = run.scores
    assert of["contains"] == (1,) * 8
    assert total(run, "brevity") == pytest.approx(3.5881844024224443, rel=1e-15)
    assert of["no_preamble"] == (0, 0)
    assert set(of["cost"]) == {0}


def test_repeats_of_a_test_are_one_case(runs: dict[str | None, RunRecord]) -> None:
    for run in runs.values():
        assert Counter(run.cases["score"]) == dict.fromkeys("02468", 2)


def test_tokens_costs_and_durations_are_promptfoos_sums(
    runs: dict[str | None, RunRecord],
) -> None:
    found = [
        (run.tokens_in, run.tokens_out, run.cost_usd, run.duration_ms)
        for run in runs.values()
    ]
    assert found == [
        (0, 0, 0, 4),
        (0, 0, 0, 7),
        (68, 50, 0.00118, 4),
        (522, 50, 0.005719999999999999, 5),
        (90, 480, 0.027000000000000003, 7),
        (448, 480, 0.1344, 7),
    ]


def test_errors_are_counted_and_said() -> None:
    record, runs = read_one(RESULTS)
    assert record.warnings == (
        (
            "4 of 60 results are errors, which promptfoo scores 0; only runs in which "
            "all are errors count as failed"
        ),
    )
    assert [run.status for run in runs] == ["completed"] * 6
    assert isinstance(runs[4].tags, dict)
    assert runs[4].tags["promptfoo"] == {
        "eval": "eval-ENn-2026-11-23T16:07:29",
        "prompt": "f9b0078b5df596d2ea19010c001bbd009e651de2c57e8fb7e355f31eb9d3f739",
        "cached_tokens": 0,
        "requests": 10,
        "passed": 4,
        "failed": 4,
        "errors": 2,
        "messages": {"upstream exploded: connection reset": 2},
    }


def test_a_run_without_any_answer_has_failed(
    tmp_path: Path, held: dict[str, dict[str, list[dict[str, object]]]]
) -> None:
    rows = held["results"]["results"]
    held["results"]["results"] = [row for row in rows if row["failureReason"] == 2]
    _, runs = read_one(changed(tmp_path, held))
    assert [run.status for run in runs] == ["pending"] * 4 + ["failed"] * 2
    assert runs[4].error == "upstream exploded: connection reset"


def test_providers_of_one_name_keep_their_own_parameters(tmp_path: Path) -> None:
    prompts = [{"provider": "gpt", "label": "p", "raw": "p", "id": n} for n in "12"]
    providers = [{"id": "gpt", "config": {"t": 0}}, {"gpt": {"config": {"t": 1}}}]
    held = {
        "evalId": "e",
        "results": {"version": 3, "prompts": prompts, "results": []},
        "config": {"providers": providers},
    }
    _, runs = read_one(changed(tmp_path, held))
    temperatures = [json.loads(run.config)["provider"]["config"]["t"] for run in runs]
    assert temperatures == [0, 1]


def test_a_score_that_does_not_fit_the_summary_is_said(
    tmp_path: Path, held: dict[str, dict[str, list[dict[str, object]]]]
) -> None:
    held["results"]["results"][0]["score"] = 0.5
    held["results"]["version"] = 4  # type: ignore[assignment]
    record, _ = read_one(changed(tmp_path, held))
    assert record.warnings[:2] == (
        "results of version 4, where version 3 was tested",
        (
            "[js-sometimes-fails] short: its results have 6.61943 score and its "
            "summary says 6.11943; the file may be damaged or incomplete"
        ),
    )


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("promptIdx", 6, "result 1: has no promptIdx"),
        ("testIdx", None, "result 1: has no promptIdx and testIdx"),
        ("score", "high", "result 1: score: 'high' is not a number"),
        ("namedScores", [], "result 1: namedScores: must be an object"),
        ("failureReason", 0, "result 1: success: must be true or false"),
    ],
)
def test_a_result_that_is_none_is_named(
    tmp_path: Path,
    held: dict[str, dict[str, list[dict[str, object]]]],
    member: str,
    value: object,
    why: str,
) -> None:
    row = held["results"]["results"][0]
    row.update({"success": None, member: value})
    with pytest.raises(SourceError, match=why):
        read_one(changed(tmp_path, held))


def test_csv_has_the_same_cases_and_rounded_scores(
    runs: dict[str | None, RunRecord],
) -> None:
    record, sheet = read_one(SHEET)
    assert [run.name for run in sheet] == NAMES
    assert "rounded to two decimals" in record.warnings[0]
    for run in sheet:
        whole = runs[run.name]
        assert run.scores.keys() == whole.scores.keys()
        for scorer in run.scores:
            cases, scores = by_case(whole, scorer)
            found, rounded = by_case(run, scorer)
            assert found == cases
            assert rounded == pytest.approx(scores, abs=0.005)


def test_a_cell_of_csv_that_is_no_score_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(SHEET.read_bytes().replace(b",PASS,1.00,", b",PASS,high,", 1))
    with pytest.raises(SourceError, match="csv:2: Score: 'high' is not a number"):
        read_one(path)


@pytest.fixture(scope="module")
def unpacked_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(STORE, tmp_path_factory.mktemp("promptfoo"))


@pytest.fixture
def store(unpacked_store: Path, tmp_path: Path) -> Path:
    """Give a copy of promptfoo's database, to be changed."""
    return Path(shutil.copy(unpacked_store, tmp_path))


def change(store: Path, sql: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute(sql)


def test_the_store_holds_what_the_json_does_and_the_api_key(
    store: Path, runs: dict[str | None, RunRecord]
) -> None:
    record, found = read_one(store)
    assert record.created_at == datetime(2026, 11, 23, 16, 7, 29, 576000, tzinfo=UTC)
    for run in found:
        whole = runs[run.name]
        assert told(run) == told(whole)
        for scorer in whole.scores:
            assert by_case(run, scorer) == by_case(whole, scorer)
    provider = json.loads(found[4].config)["provider"]
    assert provider["config"]["apiKey"] == "sk-TESTONLY-not-a-real-key-000000000000"


def told(run: RunRecord) -> object:
    return run.tokens_in, run.tokens_out, run.cost_usd, run.duration_ms, run.tags


def test_earlier_evals_of_a_store_are_left_out_and_said(store: Path) -> None:
    change(
        store,
        "INSERT INTO evals (id, created_at, results, config) VALUES ('e', 1, '{}', '')",
    )
    assert read_one(store)[0].warnings[0] == (
        "evals that are left out: 1 (without prompts, or stored before there was the "
        "table eval_results)"
    )
    change(store, "DELETE FROM evals WHERE prompts IS NOT NULL")
    with pytest.raises(SourceError, match="holds no eval"):
        read(store)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE evals SET config = '{'", "config: not valid JSON"),
        ("UPDATE evals SET config = '[]'", "config: must be a JSON object"),
        ("UPDATE evals SET prompts = '1'", "prompts: must be a list"),
        ("UPDATE evals SET created_at = 1e18", "created_at: 1000000000000000000 is no"),
        ("UPDATE eval_results SET success = 2", "success: must be true or false"),
        ("ALTER TABLE eval_results DROP COLUMN test_case", "no such column"),
    ],
)
def test_a_store_that_is_not_understood_is_refused(
    store: Path, sql: str, why: str
) -> None:
    for index in ("vars", "metadata"):
        change(store, f"DROP INDEX eval_result_test_case_{index}_idx")
    change(store, sql)
    with pytest.raises(SourceError, match=why):
        read(store)


def test_a_store_that_was_cut_is_refused(store: Path) -> None:
    whole = store.read_bytes()
    store.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SourceError, match=re.escape(str(store))):
        read(store)


def test_the_database_holds_each_judgement_with_its_case(database: Database) -> None:
    record, runs = read_one(RESULTS)
    written = database.load(replace(record, runs=iter(runs)))
    assert (written.experiments, written.runs) == (1, 6)
    stored = database.execute(
        "SELECT case_id, value FROM scores WHERE run_id = ? AND scorer_name = 'score'",
        runs[0].id,
    )
    assert sorted(stored) == sorted([(case, 1.0) for case in "0022446688"])
