import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from importers.sources import DATA, read, read_one, total
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import choose

LOG = DATA / "inspect" / "two_scorers.eval"
TWIN = DATA / "inspect" / "low_temperature.eval"

EVAL = {
    "task": "arith",
    "task_id": "T",
    "run_id": "R",
    "created": "2024-05-05T07:59:35",
    "model": "openai/gpt-4",
}


def sample(number: int, epoch: int = 1, **members: object) -> dict[str, Any]:
    return {"id": number, "epoch": epoch, "scores": {}, **members}


def scored(number: int, value: object, epoch: int = 1) -> dict[str, Any]:
    return sample(number, epoch, scores={"match": {"value": value}})


def log(folder: Path, **members: object) -> Path:
    path = folder / "log.json"
    held = {"version": 2, "status": "success", "eval": EVAL, **members}
    path.write_text(json.dumps(held))
    return path


# The numbers are what inspect_ai.log.read_eval_log answers.
@pytest.mark.parametrize(
    ("path", "temperature", "accuracy", "brevity", "tone", "tokens"),
    [
        (LOG, 0.8, 0.5, 0.3454833333333333, 0.125, 782),
        (TWIN, 0.0, 0.8333333333333334, 0.40555416666666666, 0.25, 828),
    ],
)
def test_scores_have_inspects_means(
    path: Path,
    temperature: float,
    accuracy: float,
    brevity: float,
    tone: float,
    tokens: int,
) -> None:
    record, [run] = read_one(path)
    assert record.name == "arith"
    assert record.scoring_config == {"weights": {"match": 1}}
    assert json.loads(run.config)["generate"] == {
        "max_tokens": 64,
        "temperature": temperature,
    }
    assert (run.status, run.error) == ("completed", None)
    assert (run.tokens_in or 0) + (run.tokens_out or 0) == tokens
    means = {name: total(run, name) / 12 for name in run.scores}
    assert means == pytest.approx(
        {"match": accuracy, "style/brevity": brevity, "style/tone": tone}, rel=1e-15
    )
    assert run.cases["match"] == tuple(f"case-{number:02}" for number in range(12))


def test_a_failed_epoch_is_said_and_kept_in_the_tags() -> None:
    record, [run] = read_one(LOG)
    assert record.warnings == (
        "1 of 24 samples ended in an error; Inspect leaves them out of its means",
    )
    tags: Any = run.tags
    own = tags["inspect"]
    assert list(own["errors"].values()) == [1]
    assert own["dataset"] == {"name": None, "samples": 12}
    assert own["packages"] == {"inspect_ai": "0.3.285"}


def test_evals_of_a_task_are_runs_of_one_experiment() -> None:
    [(one, [first]), (other, [second])] = read(LOG.parent)
    assert one.id == other.id
    assert first.id != second.id
    assert first.cases == second.cases


def test_a_folder_takes_the_place_of_what_was_imported_before(
    database: Database,
) -> None:
    def records() -> Any:  # noqa: ANN401
        for record, runs in read(LOG.parent):
            yield replace(record, runs=iter(runs))

    database.load(*records())
    written = database.replace(*records())
    assert (written.experiments, written.replaced, written.runs) == (1, 1, 2)


def test_a_document_holds_what_its_archive_does(tmp_path: Path) -> None:
    header = {
        "version": 2,
        "status": "success",
        "eval": {**EVAL, "eval_id": "E", "metadata": {"team": "b"}},
        "stats": {
            "started_at": "2024-05-05T07:59:35+00:00",
            "completed_at": "2024-05-05T08:00:03+00:00",
            "model_usage": {"a": {"input_tokens": 3, "total_cost": 0.25}, "b": {}},
        },
    }
    samples = [scored(1, "C"), scored(2, "I")]
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        archive.writestr("summaries.json", json.dumps(samples))
    found = read_one(log(tmp_path, **header, samples=samples))
    record, [run] = read_one(tmp_path / "log.eval")
    assert (record, [run]) == (replace(found[0], runs=record.runs), found[1])
    assert run.name == "openai/gpt-4 E"
    assert (run.tokens_in, run.tokens_out, run.cost_usd) == (3, None, 0.25)
    assert run.duration_ms == 28_000
    assert run.started_at == datetime(2024, 5, 5, 7, 59, 35, tzinfo=UTC)
    tags: Any = run.tags
    assert tags["team"] == "b"


def test_an_eval_that_has_not_ended_is_running(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": EVAL}))
        for number in (1, 2):
            written = json.dumps([scored(number, "C")])
            archive.writestr(f"_journal/summaries/{number}.json", written)
    _, [run] = read_one(tmp_path / "log.eval")
    assert run.status == "running"
    assert run.cases["match"] == ("1", "2")


@pytest.mark.parametrize(
    ("status", "ours"), [("cancelled", "cancelled"), ("error", "failed")]
)
def test_an_eval_that_broke_off_keeps_its_scores(
    tmp_path: Path, status: str, ours: str
) -> None:
    samples = [scored(1, "C"), scored(1, "P", 2), sample(2, error={"message": "boom"})]
    path = log(tmp_path, status=status, error={"message": "boom"}, samples=samples)
    _, [run] = read_one(path)
    assert (run.status, run.error) == (ours, "boom")
    assert run.scores["match"] == (1, 0.5)
    assert run.cases["match"] == ("1", "1")


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1), ("P", 0.5), ("I", 0), ("N", 0), (True, 1), ("Yes", 1), ("no", 0),
        ("0.25", 0.25), (3, 3), ("other", 0), (None, None),
    ],
)  # fmt: skip
def test_a_score_counts_as_inspect_counts_it(
    tmp_path: Path, value: object, score: float | None
) -> None:
    _, [run] = read_one(log(tmp_path, samples=[scored(1, value)]))
    assert run.scores["match"] == (score,)


def test_each_reducer_has_scores_of_its_own(tmp_path: Path) -> None:
    reductions = [
        {"scorer": "m", "reducer": name, "samples": [{"sample_id": 1, "value": [1, 0]}]}
        for name in ("mean", "max")
    ]
    _, [run] = read_one(log(tmp_path, reductions=reductions))
    assert list(run.scores) == ["m/mean/0", "m/mean/1", "m/max/0", "m/max/1"]


def test_a_log_of_version_1_without_samples_keeps_its_metric(tmp_path: Path) -> None:
    results = {
        "scorer": {"name": "fact"},
        "metrics": {"bootstrap_std": {"value": 0}, "accuracy": {"value": 0.431}},
    }
    record, [run] = read_one(log(tmp_path, version=1, results=results))
    assert run.scores == {"fact": (0.431,)}
    assert record.warnings == ("fact: no samples are there; only the accuracy is kept",)


def test_what_does_not_fit_the_results_or_was_never_tested_is_said(
    tmp_path: Path,
) -> None:
    metrics = {"accuracy": {"value": 1.0}}
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": metrics}]}
    samples = [scored(1, "C"), scored(2, "I")]
    path = log(tmp_path, version=4, results=results, samples=samples)
    record, [run] = read_one(path)
    assert (run.scores, run.cases) == ({"match": (1,)}, {})
    assert record.warnings == (
        (
            "match: the mean of the samples is 0.5, but the accuracy 1; only that is "
            "kept"
        ),
        "a log of version 4, but only versions 1 to 3 were tested",
    )


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"status": "lost"}, "status: 'lost' is not one of success"),
        ({"eval": {**EVAL, "task": None}}, "eval: task: None is not text"),
        ({"eval": {**EVAL, "created": "now"}}, "created: 'now' is not a time"),
        ({"samples": [1]}, "samples: must hold objects only"),
    ],
)
def test_a_log_that_is_not_understood_is_refused(
    tmp_path: Path, members: dict[str, object], why: str
) -> None:
    with pytest.raises(SourceError, match=why):
        read_one(log(tmp_path, **members))


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(SourceError, match=r"has no header\.json"):
        list(choose(str(path), kind=None).read(str(path)))
