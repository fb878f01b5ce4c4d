"""Optuna's studies, against what Optuna's own API answers about the same files."""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

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
from killed import die_after
from postgres import Cluster
from promptlooper_export.importers.importer import choose

FILES = DATA / "optuna"

STUDIES = ("prompt-tuning", "quality-vs-cost", "constrained", "ties", "all-failed")

STATES = {
    "prompt-tuning": {
        "completed": 169, "failed": 12, "pruned": 17, "running": 1, "pending": 1
    },
    "quality-vs-cost": {"completed": 55, "failed": 5},
    "constrained": {"completed": 41},
    "ties": {"completed": 6},
    "all-failed": {"failed": 3},
}  # fmt: skip

# study.best_trial: its number, value and params.
BEST: Mapping[str, tuple[int, float, dict[str, Any]]] = {
    "prompt-tuning": (75, 0.866608, {
        "model": "large", "temperature": 0.023, "top_p": 0.95, "max_tokens": 404,
        "use_cot": True, "system.prompt": "äöü 你好", "stop": "",
    }),
    "constrained": (7, 0.827059, {
        "model": "large", "temperature": 0.4875, "top_p": 0.95, "max_tokens": 133,
        "use_cot": True, "system.prompt": "plain", "stop": None,
    }),
    "ties": (1, 0.9, {
        "model": "large", "temperature": 0.4535, "top_p": 0.95, "max_tokens": 807,
        "use_cot": False, "system.prompt": "äöü 你好", "stop": None,
    }),
}  # fmt: skip

# The numbers of study.best_trials, which are the Pareto front.
FRONT = {1, 11, 17, 18, 22, 26, 38, 41, 51, 56}

TABLES = (
    "alembic_version", "studies", "study_directions", "study_user_attributes",
    "study_system_attributes", "trials", "trial_params", "trial_values",
    "trial_intermediate_values", "trial_user_attributes", "trial_system_attributes",
)  # fmt: skip


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optuna")
    return unpacked(FILES / "storage.sqlite3.xz", folder)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(FILES / "journal.log.xz", tmp_path_factory.mktemp("optuna"))


@pytest.fixture(scope="module")
def url(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database that the storage was imported into."""
    return imported(storage, tmp_path_factory.mktemp("imported"))


def test_a_study_that_was_killed_comes_in_as_it_was_committed_last(
    storage: Path, url: str, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(storage, tmp_path))
    die_after("UPDATE trial_values SET value = 9", copy)
    left = {one.name for one in tmp_path.iterdir()}
    assert left == {copy.name, f"{copy.name}-journal"}
    again = imported(copy, tmp_path)
    assert lines(again, "ties") == lines(url, "ties")
    assert left <= {one.name for one in tmp_path.iterdir()}


@pytest.mark.parametrize("study", STUDIES)
def test_every_trial_comes_in_with_its_state(url: str, study: str) -> None:
    _, runs = lines(url, study)
    assert Counter(run["status"] for run in runs.values()) == STATES[study]


@pytest.mark.parametrize("study", BEST)
def test_the_winner_is_optunas_best_trial(url: str, study: str) -> None:
    number, value, params = BEST[study]
    winner = report(url, study)["winner"]
    assert winner["config"] == params
    assert winner["run"]["weighted_score"] == value
    assert winner["run"]["name"] == f"trial {number}"


def test_a_study_without_a_complete_trial_has_no_winner(url: str) -> None:
    assert report(url, "all-failed")["winner"] is None


def test_both_objectives_have_their_direction_and_the_front_is_optunas(
    url: str,
) -> None:
    study, runs = lines(url, "quality-vs-cost")
    assert study["scoring_config"] == {
        "weights": {"quality": 1, "cost_usd": 1},
        "directions": {"quality": "maximize", "cost_usd": "minimize"},
        "required": ["quality", "cost_usd"],
    }
    scores = {
        run["tags"]["optuna"]["number"]: run["scores"]
        for run in runs.values()
        if run["status"] == "completed"
    }
    front = {
        number
        for number, one in scores.items()
        if not any(
            other["quality"] >= one["quality"]
            and other["cost_usd"] <= one["cost_usd"]
            and other != one
            for other in scores.values()
        )
    }
    assert front == FRONT


def test_a_trial_keeps_all_that_optuna_knows_of_it(url: str) -> None:
    study, runs = lines(url, "prompt-tuning")
    assert (
        study["description"] == 'owner: team-\u03b1\nscoring_weights: {"quality": 1.0}'
    )
    assert study["parameter_space"]["max_tokens"] == {
        "name": "IntDistribution",
        "attributes": {"log": True, "step": 1, "low": 64, "high": 2048},
    }
    run = runs["trial 0"]
    del run["id"], run["config_hash"]
    assert run == {
        "type": "run", "name": "trial 0", "status": "completed",
        "config": {
            "model": "medium", "temperature": 0.8336, "top_p": 0.6, "max_tokens": 1109,
            "use_cot": False, "system.prompt": "äöü 你好", "stop": "###",
        },
        "scores": {"quality": 0.625986},
        "tokens_in": 1048, "tokens_out": 442, "duration_ms": 5000, "cost_usd": None,
        "error": None,
        "tags": {
            "note": "naïve ☃", "tokens_in": 1048, "tokens_out": 442,
            "stage_scores": {"retrieve": 0.83, "answer": 0.625986},
            "optuna": {
                "number": 0,
                "intermediate_values": {"0": 0.57599, "1": 0.58599, "2": 0.59599},
            },
        },
        "stage_results": [],
        "created_at": "2026-03-01T08:00:00Z", "started_at": "2026-03-01T08:00:00Z",
        "finished_at": "2026-03-01T08:00:05Z", "updated_at": "2026-03-01T08:00:05Z",
    }  # fmt: skip


def test_what_is_special_about_a_trial_is_kept(url: str) -> None:
    _, runs = lines(url, "prompt-tuning")
    assert "stop" not in runs["trial 100"]["config"]
    special = runs["trial 101"]["tags"]["optuna"]["intermediate_values"]
    assert list(special.values())[:3] == ["NaN", "Infinity", "-Infinity"]
    assert runs["trial 102"]["scores"] == {"quality": -0.25}
    assert runs["trial 5"]["error"] == "RateLimitError: 429, retry after 20s"
    pruned = runs["trial 7"]
    assert pruned["status"] == "pruned"
    assert list(pruned["scores"].values()) == [
        pruned["tags"]["optuna"]["intermediate_values"]["2"]
    ]
    _, runs = lines(url, "constrained")
    assert runs["trial 40"]["tags"]["optuna"]["system_attrs"]["constraints"] == [9.0]
    assert "feasible" not in runs["trial 40"]["scores"]


def test_a_journal_has_the_same_studies_byte_by_byte(
    journal: Path, url: str, tmp_path: Path
) -> None:
    assert whole(imported(journal, tmp_path), STUDIES) == whole(url, STUDIES)


def test_a_storage_in_postgresql_has_the_same_studies_byte_by_byte(
    storage: Path, url: str, cluster: Cluster, tmp_path: Path
) -> None:
    with cluster.database() as name:
        there = cluster.url(name)
        to_postgresql(storage, there, TABLES)
        sqlalchemys = there.replace("postgresql:", "postgresql+psycopg2:")
        assert whole(imported(sqlalchemys, tmp_path), STUDIES) == whole(url, STUDIES)


def test_a_storage_is_recognised_without_a_copy_or_a_trace(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = sorted(storage.parent.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(storage.parent / "missing"))
    assert choose(str(storage), kind=None).title == "Optuna studies"
    assert sorted(storage.parent.iterdir()) == beside


def test_importing_twice_changes_nothing(storage: Path, tmp_path: Path) -> None:
    url = imported(storage, tmp_path)
    before = whole(url, STUDIES)
    done = run_here("import", f"sqlite:///{storage}", url=url)
    assert "imported 0 experiments, 0 runs (310 unchanged)" in done.stderr
    assert whole(url, STUDIES) == before


def test_the_table_of_trials_has_the_winner_and_whole_numbers(
    url: str, tmp_path: Path
) -> None:
    table = FILES / "prompt-tuning.trials_dataframe.csv"
    _, runs = lines(url, "prompt-tuning")
    of_table = imported(table, tmp_path)
    study, rows = lines(of_table, "prompt-tuning.trials_dataframe")
    assert study["scoring_config"] is None
    for name, run in runs.items():
        row = rows[name]
        for member in ("status", "scores", "tokens_in", "duration_ms", "error"):
            assert row[member] == run[member], name
        # The table has one cell for None and "", and so there is nothing.
        filled = {k: v for k, v in run["config"].items() if v not in (None, "")}
        assert row["config"] == filled, name
        assert row["started_at"] == run["started_at"]


@pytest.mark.parametrize("release", ["2.10.1", "3.0.0"])
def test_storages_of_earlier_releases_are_read(release: str, tmp_path: Path) -> None:
    storage = unpacked(FILES / f"storage-{release}.sqlite3.xz", tmp_path)
    url = imported(storage, tmp_path)
    # Optuna's own answer, value and params included.
    winner = report(url, "old")["winner"]
    assert winner["run"]["name"] == "trial 19"
    assert winner["run"]["scores"] == {"value": 1.1669562248935414}
    assert winner["config"] == {
        "x": 0.40860277151965274, "n": 1, "u": 0.2523257445703234, "c": 2.5, "d": 1.0
    }  # fmt: skip
    _, runs = lines(url, "multi")
    assert runs["trial 0"]["scores"].keys() == {"values_0", "values_1"}


def test_the_sample_of_the_dashboard_is_read(tmp_path: Path) -> None:
    url = imported(unpacked(FILES / "dashboard.sqlite3.xz", tmp_path), tmp_path)
    _, runs = lines(url, "pytorch_simple")
    states = Counter(run["status"] for run in runs.values())
    assert states == {"completed": 25, "pruned": 75}


def test_an_unknown_revision_is_said_and_read(storage: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.sqlite3"
    shutil.copyfile(storage, newer)
    changed(newer, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    url = f"sqlite:///{tmp_path}/imported.db"
    done = run_here("import", str(newer), url=url)
    assert "the revision v9.0.0.a of Optuna's tables was not tested" in done.stderr
    assert len(listed(url)) == 5


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE trials SET state = 'LOST'", "the state 'LOST' is not one of Optuna's"),
        ("ALTER TABLE trials DROP COLUMN number", "no such column: number"),
        ("UPDATE trial_params SET param_value = 99", "'model' does not fit"),
        ("UPDATE trial_user_attributes SET value_json = '{'", "not valid JSON"),
        ("UPDATE trial_user_attributes SET value_json = '1e400'", "written as JSON"),
        (
            """UPDATE trial_user_attributes SET value_json = '"\\ud800"'""",
            "note: cannot be written as JSON",
        ),
        ("UPDATE trial_values SET value = 'high'", "'high' is not a number"),
        ("UPDATE trials SET datetime_start = 'noon'", "'noon' is not a time"),
        ("UPDATE trial_values SET objective = 7 WHERE trial_id = 9", "objective 7"),
        ("DELETE FROM studies", "holds no study"),
    ],
)
def test_a_storage_that_is_not_optunas_any_more_is_refused(
    storage: Path, tmp_path: Path, statement: str, said: str
) -> None:
    broken = tmp_path / "broken.sqlite3"
    shutil.copyfile(storage, broken)
    changed(broken, statement)
    assert said in refused(broken, tmp_path)


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_parameter_that_json_cannot_hold_is_named(
    storage: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.sqlite3"
    shutil.copyfile(storage, broken)
    changed(broken, "UPDATE trial_params SET param_value = 9e999 WHERE param_id = 2")
    assert (
        "study 'prompt-tuning', trial 0: the config: cannot be written as JSON"
        in refused(broken, tmp_path)
    )


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.9999])
def test_a_storage_that_is_cut_is_refused(
    storage: Path, tmp_path: Path, kept: float
) -> None:
    data = storage.read_bytes()
    cut = tmp_path / "cut.sqlite3"
    cut.write_bytes(data[: int(len(data) * kept)])
    assert refused(cut, tmp_path)


def test_a_name_of_a_table_that_is_not_utf_8_is_one_line(
    storage: Path, tmp_path: Path
) -> None:
    flipped = tmp_path / "flipped.sqlite3"
    data = storage.read_bytes()
    flipped.write_bytes(data.replace(b"value_json", b"val\xe9e_json"))
    assert "cannot be read as an SQLite database" in refused(flipped, tmp_path)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_byte_in_the_structure_of_a_storage_is_found(
    storage: Path, tmp_path: Path, place: float
) -> None:
    data = bytearray(storage.read_bytes())
    # The first byte of a page says what kind of page it is.
    data[int(len(data) * place) // 4096 * 4096] ^= 0xFF
    flipped = tmp_path / "flipped.sqlite3"
    flipped.write_bytes(data)
    assert refused(flipped, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"study_id":0', b'"study_Id":0', ":2: not an operation"),
        (b'"op_code":3', b'"op_code":"', ":2: not valid JSON"),
        (b'"value":0.625986', b'"value":"0.6259"', "'0.6259' is not a number"),
        (b'"datetime_start":"2026-', b'"datetime_start":"2o26-', "is not a time"),
    ],
)
def test_a_damaged_journal_is_refused(
    journal: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    damaged = tmp_path / "damaged.log"
    damaged.write_bytes(journal.read_bytes().replace(old, new, 1))
    assert said in refused(damaged, tmp_path)


def test_a_journal_that_is_cut_is_refused(journal: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.log"
    cut.write_bytes(journal.read_bytes()[:-7])
    assert ":330: the line is not whole" in refused(cut, tmp_path)


def test_a_journal_is_replayed_as_optuna_does(tmp_path: Path) -> None:
    space = {"name": "IntDistribution", "attributes": {"low": 1, "high": 9}}
    began, ended = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00"
    study = {"op_code": 0, "study_name": "s", "directions": [1]}
    trial = {"op_code": 4, "study_id": 1, "datetime_start": began}
    param = {"op_code": 5, "param_name": "n", "distribution": json.dumps(space)}
    state = {"op_code": 6, "datetime_complete": ended}
    operations: list[Mapping[str, object]] = [
        {**study, "study_name": "gone"},
        {**trial, "study_id": 0},
        study,
        study,  # a second worker asked for it as well
        {"op_code": 1, "study_id": 0},
        {**trial, "study_id": 0},
        trial,
        {**trial, "state": 4, "datetime_start": None},
        {**param, "trial_id": 1, "param_value_internal": 3},
        {"op_code": 7, "trial_id": 1, "step": 0, "intermediate_value": 0.5},
        {"op_code": 8, "trial_id": 1, "user_attr": {"a": 1}},
        {"op_code": 8, "trial_id": 1, "user_attr": {"a": 2}},
        {"op_code": 9, "trial_id": 1, "system_attr": {"b": "c"}},
        {**state, "trial_id": 1, "state": 1, "values": [7.5]},
        {**state, "trial_id": 1, "state": 3, "values": None},  # it is finished
        {"op_code": 8, "trial_id": 1, "user_attr": {"a": 3}},
        {"op_code": 10, "study_id": 1},
        {"op_code": 11, "study_id": 1},
    ]
    journal = tmp_path / "journal.log"
    journal.write_text(
        "".join(
            json.dumps({"op_code": one["op_code"], "worker_id": "w", **one}) + "\n"
            for one in operations
        )
    )
    url = f"sqlite:///{tmp_path}/imported.db"
    done = run_here("import", str(journal), url=url)
    assert "operations of a newer Optuna are passed over: op_code 11" in done.stderr
    _, runs = lines(url, "s")
    assert {name: run["status"] for name, run in runs.items()} == {
        "trial 0": "completed",
        "trial 1": "pending",
    }
    run = runs["trial 0"]
    assert run["config"] == {"n": 3}
    assert run["scores"] == {"value": 7.5}
    assert run["tags"] == {
        "a": 2,
        "optuna": {
            "number": 0,
            "intermediate_values": {"0": 0.5},
            "system_attrs": {"b": "c"},
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b",COMPLETE\n", b",COMPLET\n", ":2: the state 'COMPLET'"),
        (b",COMPLETE\n", b"\n", ":2: has 17 cells and needs 18"),
        (b"\n1,", b"\n0,", ":3: the number '0' is there twice"),
        (b",0.625986,", b",0.625o86,", "'0.625o86' is not a number"),
        (b"medium", b"medi\xffm", "not a table in UTF-8"),
    ],
)
def test_a_damaged_table_of_trials_is_refused(
    tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    table = FILES / "prompt-tuning.trials_dataframe.csv"
    damaged = tmp_path / "damaged.csv"
    damaged.write_bytes(table.read_bytes().replace(old, new, 1))
    assert said in refused(damaged, tmp_path)


def test_a_url_that_nobody_answers_is_one_line_without_the_password(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/imported.db"
    source = "postgresql://tuner:secret@127.0.0.1:1/studies"
    done = run_here("import", source, "--from", "optuna", url=url)
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "promptlooper-export: postgresql://tuner@127.0.0.1:1/studies: cannot be read: "
    )
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
