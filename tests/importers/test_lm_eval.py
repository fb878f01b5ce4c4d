import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from importers.sources import DATA, read_one, total
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import choose

FOLDER = DATA / "lm-eval"
RESULTS = FOLDER / "results_2026-11-23T16-04-29.json"
SAMPLES = FOLDER / "samples_mini_arith_2026-11-23T16-04-29.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the files, to be changed."""
    return shutil.copytree(FOLDER, tmp_path / "results")


def change(path: Path, **members: object) -> None:
    held = json.loads(path.read_bytes())
    path.write_text(json.dumps({**held, **members}))


def test_a_results_file_is_a_run_of_its_tasks() -> None:
    record, [run] = read_one(RESULTS)
    assert record.name == "mini_arith, mini_gen"
    assert record.scoring_config == {
        "weights": {"mini_arith/acc": 1, "mini_gen/exact_match": 1},
        "directions": {},
    }
    assert run.created_at == datetime(2026, 11, 23, 16, 4, 29, 247606, tzinfo=UTC)
    assert run.duration_ms == 8759
    config = json.loads(run.config)
    assert (config["model"], config["n-shot"]) == (
        "dummy",
        {"mini_arith": 0, "mini_gen": 0},
    )


def test_each_document_is_a_case_if_samples_are_there() -> None:
    _, [run] = read_one(RESULTS)
    means = {name: total(run, name) / 40 for name in run.scores}
    # As in the results file.
    assert means == {
        "mini_arith/acc": 0.4,
        "mini_arith/acc_norm": 0.35,
        "mini_gen/exact_match": 0,
    }
    assert run.cases["mini_arith/acc"] == tuple(map(str, range(40)))


@pytest.mark.parametrize("source", [FOLDER, SAMPLES])
def test_a_folder_and_samples_are_read_as_their_results(source: Path) -> None:
    assert read_one(source)[1] == read_one(RESULTS)[1]


def test_without_samples_the_results_are_kept(folder: Path) -> None:
    (folder / SAMPLES.name).unlink()
    _, [run] = read_one(folder / RESULTS.name)
    assert run.scores["mini_arith/acc"] == (0.4,)
    assert set(run.cases) == {"mini_gen/exact_match"}


def test_samples_that_are_not_complete_are_left_out_and_said(folder: Path) -> None:
    path = folder / SAMPLES.name
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:39]))
    record, [run] = read_one(folder)
    assert run.scores["mini_arith/acc"] == (0.4,)
    assert record.warnings == (
        "mini_arith/acc: 39 of 40 samples are there; only the result is kept",
        "mini_arith/acc_norm: 39 of 40 samples are there; only the result is kept",
    )


def test_a_result_that_is_no_mean_of_its_samples_is_kept(folder: Path) -> None:
    results = {"mini_arith": {"alias": "mini_arith", "acc,none": 0.5}}
    change(folder / RESULTS.name, results=results)
    record, [run] = read_one(folder)
    assert run.scores == {"mini_arith/acc": (0.5,)}
    assert record.warnings == (
        (
            "mini_arith/acc: the result is not the mean of the samples; only the "
            "result is kept"
        ),
    )


def test_samples_alone_are_a_run_of_unknown_config(folder: Path) -> None:
    (folder / RESULTS.name).unlink()
    record, [run] = read_one(folder / SAMPLES.name)
    assert len(run.scores[f"{SAMPLES.stem}/acc"]) == 40
    assert json.loads(run.config) == {"samples": SAMPLES.name}
    assert "what was run is not known" in record.warnings[0]


def test_models_on_the_same_tasks_are_runs_of_one_experiment(folder: Path) -> None:
    other = folder / "other"
    shutil.copytree(FOLDER, other)
    change(other / RESULTS.name, model_name="other", system_instruction="Be brief.")
    _, runs = read_one(folder)
    assert [run.name for run in runs] == ["other", "3ykv54sv"]
    assert json.loads(runs[0].config)["system_instruction"] == "Be brief."
    assert runs[0].id != runs[1].id


def test_groups_directions_and_filters_are_kept(folder: Path) -> None:
    change(
        folder / RESULTS.name,
        results={
            "all": {"acc,none": 0.5, "alias": "all"},
            "a": {"acc,none": 0.25, "acc_stderr,none": 0.1},
            "b": {"acc,strict-match": 0.75, "acc,flexible": 1},
            "text": {"perplexity,none": 3.5, "mcc": "NaN"},
        },
        group_subtasks={"all": ["a", "b"]},
        higher_is_better={"text": {"perplexity": False}},
    )
    record, [run] = read_one(folder)
    assert record.name == "all, text"
    assert record.scoring_config == {
        "weights": {"all/acc": 1, "text/perplexity": 1},
        "directions": {"text/perplexity": "minimize"},
    }
    assert run.scores == {
        "all/acc": (0.5,),
        "a/acc": (0.25,),
        "b/acc,strict-match": (0.75,),
        "b/acc,flexible": (1,),
        "text/perplexity": (3.5,),
    }
    assert isinstance(run.tags, dict)
    assert isinstance(run.tags["lm-eval"], dict)
    assert run.tags["lm-eval"]["stderr"] == {"a/acc": 0.1}


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"results": {}}, "holds no metric of any task"),
        ({"results": {"a": 1}}, "results of a: must be an object"),
        ({"results": {"a": {"acc,none": "x"}}}, "acc,none: 'x' is not a number"),
        ({"date": "x"}, "date: 'x' is not a number"),
        ({"date": 1e300}, "is not a moment"),
        ({"total_evaluation_time_seconds": "x"}, "seconds: 'x' is not a number"),
    ],
)
def test_what_is_not_understood_is_named(
    folder: Path, members: dict[str, object], why: str
) -> None:
    path = folder / RESULTS.name
    change(path, **members)
    with pytest.raises(SourceError, match=why):
        list(choose(str(path), kind="lm-eval").read(str(path)))
