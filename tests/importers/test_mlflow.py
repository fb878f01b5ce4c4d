"""MLflow's experiments, against what MLflow's own search answers about the files."""

import gzip
import io
import json
import shutil
import sqlite3
import tarfile
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from cli.console import run_here
from importers.foreign import (
    DATA,
    imported,
    lines,
    listed,
    refused,
    report,
    to_postgresql,
    unpacked,
    whole,
)
from importers.sources import read
from postgres import Cluster

FILES = DATA / "mlflow"

TABLES = (
    "alembic_version", "experiments", "experiment_tags", "runs", "params", "metrics",
    "latest_metrics", "tags", "datasets", "inputs", "input_tags", "trace_info",
    "logged_models",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(FILES / "store.sqlite3.xz", tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def url(store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database that the store was imported into."""
    return imported(store, tmp_path_factory.mktemp("imported"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder `mlruns`."""
    above = tmp_path_factory.mktemp("folder")
    with tarfile.open(FILES / "mlruns.tar.gz") as archive:
        archive.extractall(above, filter="data")
    return above / "mlruns"


@pytest.fixture(scope="module")
def folder_url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database that the folder was imported into."""
    return imported(folder, tmp_path_factory.mktemp("imported"))


def test_every_run_that_was_not_deleted_comes_in_with_its_status(url: str) -> None:
    _, runs = lines(url, "prompt-ab")
    states = Counter(run["status"] for run in runs.values())
    # MLflow counts 53 finished ones; one of them was deleted.
    assert states == {"completed": 52, "failed": 5, "cancelled": 1, "running": 1}
    assert sum("mlflow.parentRunId" in run["tags"] for run in runs.values()) == 10


def test_an_experiment_says_before_how_many_runs_it_has(store: Path) -> None:
    found = read(store)
    assert any(runs for _, runs in found)
    assert all(record.total == len(runs) for record, runs in found)


def test_the_winner_by_a_metric_is_mlflows(url: str) -> None:
    done = run_here(
        "export", "prompt-ab", "-f", "json", "-o", "-", "--weights", "quality:1",
        "--required", "quality", url=url,
    )  # fmt: skip
    best = json.loads(done.stdout)
    assert best["scores"]["quality"] == 0.75262
    assert best["config"] == {
        "model": "large", "temperature": 0.366, "max_tokens": 1024,
        "retrieval.top_k": 6, "retrieval/rerank": True, "stop": None,
    }  # fmt: skip
    _, runs = lines(url, "prompt-ab")
    assert runs["run 34"]["id"] == best["run_id"]


def test_experiments_without_runs_come_in_but_for_the_default_one(url: str) -> None:
    assert {row["name"] for row in listed(url)} == {"prompt-ab", "empty"}
    study, _ = lines(url, "prompt-ab")
    assert study["description"] == "A/B of *prompts* \u2603"
    assert study["scoring_config"] is None


def test_a_run_keeps_all_that_mlflow_knows_of_it(url: str) -> None:
    _, runs = lines(url, "prompt-ab")
    run = dict(runs["run 37"])
    assert run.pop("id").replace("-", "") == "2ed537c258c74aa08d96b0d7e1e691a4"
    del run["config_hash"]
    assert run == {
        "type": "run", "name": "run 37", "status": "completed",
        "config": {
            "max_tokens": 256, "model": "small", "retrieval.top_k": 6,
            "retrieval/rerank": False, "stop": None, "temperature": 0.955,
        },
        "scores": {"quality": 0.45255},
        "tokens_in": 2888, "tokens_out": 524, "duration_ms": 10069,
        "cost_usd": 0.065385, "error": None,
        "tags": {
            "mlflow.runName": "run 37", "mlflow.source.name": "tune.py",
            "mlflow.source.git.commit": "0123456789abcdef0123456789abcdef01234567",
            "mlflow.user": "ci", "stage": "eval", "variant": "B",
            "mlflow": {
                "artifact_uri": "mlflow-artifacts:/prompt-ab/"
                "2ed537c258c74aa08d96b0d7e1e691a4/artifacts",
                "source_type": "UNKNOWN", "user_id": "ci",
                "run_id": "2ed537c258c74aa08d96b0d7e1e691a4",
                "datasets": [{
                    "name": "qa-cases", "digest": "d1g35t", "source_type": "local",
                    "source": "qa.jsonl", "context": "eval",
                }],
            },
        },
        "stage_results": [],
        "created_at": "2026-03-01T08:37:37Z", "started_at": "2026-03-01T08:37:37Z",
        "finished_at": "2026-03-01T08:37:47.069000Z",
        "updated_at": "2026-03-01T08:37:47.069000Z",
    }  # fmt: skip


def test_what_is_special_about_a_run_is_kept(url: str) -> None:
    _, runs = lines(url, "prompt-ab")
    assert len(runs["run 30"]["config"]["system_prompt"]) == 6000
    assert json.loads(runs["run 31"]["config"]["config"])["stages"][1]["t"] == 0
    assert runs["run 32"]["config"]["formula"] == "=1+1"
    assert runs["run 33"]["scores"] == {}
    # SQLite of our own has NULL for NaN; MLflow's tables have 0 for it.
    assert runs["run 34"]["scores"]["judge"] is None
    infinite = runs["prüfung «35»"]["scores"]
    assert infinite["judge"] == "Infinity"
    assert infinite["judge/neg"] == "-Infinity"
    assert runs["run 36"]["scores"] == {"quality": -0.5}
    assert runs["run 59"]["config"] == {}


def test_what_has_no_place_is_named(store: Path, tmp_path: Path) -> None:
    done = run_here("import", str(store), url=f"sqlite:///{tmp_path}/imported.db")
    said = done.stderr.replace(f"warning: {store}: experiment 'prompt-ab': ", "")
    assert said.splitlines() == [
        "runs that were deleted are left out: 1",
        (
            "MLflow does not say which metric decides, or whether high or low is "
            "better; here the highest mean of judge, judge/neg, quality wins, unless "
            "you give weights and directions"
        ),
        "earlier values of metrics are left out: 172",
        "what looks like a secret is redacted in exports: tags.api_key",
        "imported 2 experiments, 59 runs",
    ]


def test_a_primary_metric_decides(store: Path, tmp_path: Path) -> None:
    tagged = copied(store, tmp_path)
    name = "mlflow.experiment.primaryMetric"
    changed(tagged, f"INSERT INTO experiment_tags VALUES ('{name}.name', 'quality', 2)")
    changed(
        tagged,
        f"INSERT INTO experiment_tags VALUES ('{name}.greaterIsBetter', 'False', 2)",
    )
    winner = report(imported(tagged, tmp_path), "prompt-ab")["winner"]
    assert winner["run"]["name"] == "run 36"
    assert winner["run"]["weighted_score"] == 0.5


def test_a_store_in_postgresql_has_the_same_runs_byte_by_byte(
    store: Path, url: str, cluster: Cluster, tmp_path: Path
) -> None:
    names = ("prompt-ab", "empty")
    with cluster.database() as name:
        to_postgresql(store, cluster.url(name), TABLES)
        there = imported(cluster.url(name), tmp_path)
        assert whole(there, names) == whole(url, names)


def test_a_store_of_an_earlier_release_is_read(url: str, tmp_path: Path) -> None:
    store = unpacked(FILES / "store-2.9.2.sqlite3.xz", tmp_path)
    _, earlier = lines(imported(store, tmp_path), "prompt-ab")
    _, runs = lines(url, "prompt-ab")
    for name, run in runs.items():
        for member in ("status", "config", "scores", "tokens_in", "started_at"):
            assert earlier[name][member] == run[member], name


def test_importing_twice_changes_nothing(url: str, store: Path, tmp_path: Path) -> None:
    again = imported(store, tmp_path)
    done = run_here("import", str(store), url=again)
    assert "imported 0 experiments, 0 runs (59 unchanged)" in done.stderr
    assert whole(again, ["prompt-ab"]) == whole(url, ["prompt-ab"])


def test_a_folder_has_what_the_store_has(url: str, folder_url: str) -> None:
    _, runs = lines(url, "prompt-ab")
    _, of_folder = lines(folder_url, "prompt-ab")
    assert len(of_folder) == 12
    for name, run in of_folder.items():
        for member in (
            "status", "config", "scores", "tokens_in", "duration_ms", "created_at"
        ):  # fmt: skip
            assert run[member] == runs[name][member], name
        assert run["tags"]["variant"] == runs[name]["tags"]["variant"]
    winner = report(folder_url, "prompt-ab")["winner"]["run"]
    assert (winner["name"], winner["scores"]["quality"]) == ("run 08", 0.72717)


def test_archives_have_what_the_folder_has(
    folder: Path, folder_url: str, tmp_path: Path
) -> None:
    sources = [folder.parent, FILES / "mlruns.tar.gz"]
    for kind in ("zip", "xztar", "tar"):
        made = shutil.make_archive(str(tmp_path / kind), kind, folder.parent)
        sources.append(Path(made))
    for number, source in enumerate(sources):
        where = tmp_path / str(number)
        where.mkdir()
        names = ["prompt-ab", "empty"]
        assert whole(imported(source, where), names) == whole(folder_url, names)


def test_a_folder_names_its_artifacts_data_sets_and_what_it_leaves_out(
    folder: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "mlruns"
    shutil.copytree(folder, changed)
    run = next(
        path.parents[1]
        for path in changed.glob("*/*/tags/mlflow.runName")
        if path.read_text() == "run 08"
    )
    for path, text in {
        "artifacts/plots/loss.txt": "1",
        "artifacts/7/meta.yaml": "name: not an experiment",
        "inputs/i1/meta.yaml": (
            f"{{source_type: DATASET, source_id: d1, destination_type: RUN, "
            f"destination_id: {run.name}, tags: {{mlflow.data.context: train}}}}"
        ),
        "metrics/system/cpu": "1 97.5 0\n",
        "metrics/nan": "1 nan 0\n2 0.5 0\n",
        "metrics/judged": "9 0.25 0 qa d1g\n8 0.75 1 qa d1g\n",
        "../datasets/d1/meta.yaml": "{name: qa, digest: d1g, source_type: local}",
        "../traces/tr-1/trace_info.yaml": "{}",
        "../models/m-1/meta.yaml": "{}",
    }.items():
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_text(text)
    url = f"sqlite:///{tmp_path}/imported.db"
    done = run_here("import", str(changed), url=url)
    assert "traces are left out: 1\n" in done.stderr
    assert "logged models are left out: 1\n" in done.stderr
    _, runs = lines(url, "prompt-ab")
    own = runs["run 08"]["tags"]["mlflow"]
    assert own["artifacts"] == ["7/meta.yaml", "plots/loss.txt"]
    assert own["system_metrics"] == {"system/cpu": 97.5}
    assert own["datasets"][0]["context"] == "train"
    # As MLflow does, which has no steps for a metric with a data set.
    assert runs["run 08"]["scores"]["judged"] == 0.25


def copied(store: Path, folder: Path) -> Path:
    copy = folder / "copy.sqlite3"
    shutil.copyfile(store, copy)
    return copy


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE latest_metrics SET value = 'high'", "'high' is not a number"),
        ("UPDATE runs SET start_time = 'noon'", "'noon' is not a time"),
        ("UPDATE runs SET status = 'LOST'", "damaged: CHECK constraint failed in runs"),
        ("ALTER TABLE runs RENAME COLUMN status TO state", "no such column: status"),
        ("DELETE FROM experiments WHERE experiment_id > 0", "holds no experiment"),
    ],
)
def test_a_store_that_is_not_mlflows_any_more_is_refused(
    store: Path, tmp_path: Path, statement: str, said: str
) -> None:
    broken = copied(store, tmp_path)
    changed(broken, statement)
    assert said in refused(broken, tmp_path)


def test_an_unknown_revision_is_said_and_read(store: Path, tmp_path: Path) -> None:
    newer = copied(store, tmp_path)
    changed(newer, "UPDATE alembic_version SET version_num = 'feed00000000'")
    url = f"sqlite:///{tmp_path}/imported.db"
    done = run_here("import", str(newer), url=url)
    assert "the revision feed00000000 of MLflow's tables was not tested" in done.stderr
    assert len(listed(url)) == 2


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("meta.yaml", b"status: [", "not valid YAML"),
        ("meta.yaml", b"just text", "is no mapping"),
        ("meta.yaml", b"status: 9", "the status '9' is not one of MLflow's"),
        ("metrics/quality", b"1 high 0\n", "line 1 is not a value of a metric"),
        ("metrics/quality", b"", "has no value"),
        ("params/model", b"\xff", "not UTF-8 (byte 1)"),
    ],
)
def test_a_damaged_file_of_a_folder_is_named(
    folder: Path, tmp_path: Path, file: str, text: bytes, said: str
) -> None:
    copy = tmp_path / "mlruns"
    shutil.copytree(folder, copy)
    run = next(copy.glob("*/*/metrics")).parent
    (run / file).write_bytes(text)
    assert said in refused(copy, tmp_path)


@pytest.mark.parametrize("kept", [0.4, 0.9, 0.9995])
def test_an_archive_that_is_cut_is_refused(tmp_path: Path, kept: float) -> None:
    data = (FILES / "mlruns.tar.gz").read_bytes()
    cut = tmp_path / "mlruns.tar.gz"
    cut.write_bytes(data[: int(len(data) * kept)])
    assert refused(cut, tmp_path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9, 0.9999])
def test_a_flipped_byte_in_an_archive_is_found(tmp_path: Path, place: float) -> None:
    data = bytearray((FILES / "mlruns.tar.gz").read_bytes())
    data[int(len(data) * place)] ^= 0x10
    flipped = tmp_path / "mlruns.tar.gz"
    flipped.write_bytes(data)
    assert "mlruns.tar.gz: " in refused(flipped, tmp_path)


def test_archives_of_something_else_are_not_mlflows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("header.json", "{}")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"text"))
    for source in tmp_path.iterdir():
        assert " looks like a" in refused(source, tmp_path)
        (tmp_path / "refused.db").unlink()
