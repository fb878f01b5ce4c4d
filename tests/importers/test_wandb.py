import json
import math
import shutil
import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from importers.sources import DATA, read, read_one
from promptlooper_export.errors import SourceError

FOLDER = DATA / "wandb"
LOG = FOLDER / "made_offline_run_0" / "run-made0000.wandb"


def number(field: int, value: int) -> bytes:
    """Write a field of protobuf that holds a number."""
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    """Write a field of protobuf that holds text or a message."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    rest, last = divmod(value, 128)
    return bytes([last | 128]) + varint(rest) if rest else bytes([last])


def summary(*items: bytes) -> bytes:
    return data(3, b"".join(data(1, item) for item in items))


def item(value: str, *path: str) -> bytes:
    return b"".join(data(2, key) for key in path) + data(16, value)


RUN = data(17, data(1, "r1") + data(3, "p"))
EXIT = data(18, b"")


def log(folder: Path, *records: bytes, version: int = 0, size: int = 1 << 20) -> Path:
    """Write a log; a record of more than `size` bytes becomes several chunks."""
    path = folder / "run.wandb"
    written = b":W&B\xe1\xbe" + bytes([version])
    for record in records:
        pieces = [record[at : at + size] for at in range(0, len(record), size)]
        for place, piece in enumerate(pieces):
            kind = kind_of(place, pieces)
            room = (1 << 15) - len(written) % (1 << 15)
            written += b"\0" * room if room < 7 else b""
            checksum = zlib.crc32(bytes([kind]) + piece)
            written += struct.pack("<IHB", checksum, len(piece), kind) + piece
    path.write_bytes(written)
    return path


def kind_of(place: int, pieces: Sequence[bytes]) -> int:
    if len(pieces) == 1:
        return 1
    return 2 if place == 0 else 4 if place == len(pieces) - 1 else 3


def test_a_project_is_an_experiment_with_the_runs_of_a_folder() -> None:
    record, runs = read_one(FOLDER)
    assert record.name == "prompt-ab"
    assert [(run.name, run.status, run.error) for run in runs] == [
        ("run 0 ☃", "completed", None),
        ("run 1 ☃", "completed", None),
        ("run 2 ☃", "failed", "exit code 1"),
    ]
    assert json.loads(runs[2].config) == {
        "model": "large",
        "temperature": 0.2,
        "stages": [{"name": "draft", "max_tokens": 64}, {"name": "judge"}],
        "system_prompt": 'line one\nline two: "quoted"',
        "stop": None,
    }
    assert runs[0].started_at == datetime(2026, 11, 23, 16, 5, 24, 442955, tzinfo=UTC)
    assert runs[0].duration_ms == 220


def test_numbers_of_the_summary_are_scores() -> None:
    _, runs = read_one(FOLDER)
    assert runs[0].scores == {
        "judge": (0.9009004917506227,),
        "quality": (0.55356,),
        "best.quality": (0.9,),
        "best.step": (3,),
    }
    assert math.isnan(runs[1].scores["judge"][0] or 0)
    assert [run.cost_usd for run in runs] == [0.005] * 3


def test_what_has_no_place_is_in_the_tags() -> None:
    _, [run] = read_one(LOG)
    tags: Any = run.tags
    assert tags["wandb"] == {
        "id": "made0000",
        "group": "sweep-1",
        "notes": "offline, made for tests",
        "host": "made-host",
        "tags": ["ab", "made"],
        "version": "0.31.0+15f8cbc581d1c5cfc6e31f68b48bdd13cec2dd2c",
        "steps": 5,
    }


def test_it_is_said_that_nothing_says_which_metric_decides() -> None:
    assert read_one(LOG)[0].warnings == (
        (
            "W&B does not say which metric decides, or whether high or low is better; "
            "here the highest mean of best.quality, best.step, judge, ... wins, unless "
            "you give weights and directions"
        ),
    )


def test_the_goals_of_metrics_are_the_rule(tmp_path: Path) -> None:
    goal = data(12, data(1, "loss") + number(8, 1))
    path = log(tmp_path, RUN, goal, summary(item("0.5", "loss")), EXIT)
    record, _ = read_one(path)
    assert record.scoring_config == {
        "weights": {"loss": 1},
        "directions": {"loss": "minimize"},
    }
    assert record.warnings == ()


def test_later_records_change_config_and_summary(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        RUN,
        data(5, data(1, item("1", "a", "b")) + data(1, item('"x"', "c"))),
        data(5, data(1, item("2", "a", "d")) + data(2, data(2, "c"))),
        summary(item("1", "acc"), item('"text"', "note"), item("7", "tokens_in")),
        summary(item("2", "acc")),
        EXIT,
    )
    _, [run] = read_one(path)
    assert json.loads(run.config) == {"a": {"b": 1, "d": 2}}
    assert (run.scores, run.tokens_in) == ({"acc": (2,)}, 7)
    tags: Any = run.tags
    assert tags["wandb"]["summary"] == {"note": "text"}


def test_a_long_record_spans_blocks(tmp_path: Path) -> None:
    text = "é" * 40_000
    config = data(5, data(1, item(json.dumps(text), "prompt")))
    _, [run] = read_one(log(tmp_path, RUN, config, EXIT, size=16_377))
    assert json.loads(run.config) == {"prompt": text}


def test_a_run_without_an_end_is_running(tmp_path: Path) -> None:
    path = log(tmp_path, RUN, version=1)
    record, [run] = read_one(path)
    assert run.status == "running"
    assert record.warnings == (
        f"{path}: log version 1, but 0 was tested",
        f"1 of 1 logs have no end, such as {path}: the run goes on, or crashed",
    )


def test_runs_of_two_projects_are_two_experiments(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "all")
    log(tmp_path / "all", RUN, data(18, number(1, (1 << 64) - 9)))
    found = read(tmp_path / "all")
    assert [(record.name, len(runs)) for record, runs in found] == [
        ("p", 1),
        ("prompt-ab", 3),
    ]
    assert found[0][1][0].error == "exit code -9"


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([EXIT], "holds no run"),
        ([data(17, b"\xff")], "a record that is not one of W&B's"),
        ([number(17, 1)], "a record that is not one of W&B's"),
        ([data(17, data(3, b"\xff"))], "text that is not UTF-8"),
        ([RUN, data(5, data(1, item("{", "a")))], "a: not valid JSON"),
    ],
)
def test_a_log_that_is_not_understood_is_refused(
    tmp_path: Path, records: list[bytes], why: str
) -> None:
    with pytest.raises(SourceError, match=why):
        read(log(tmp_path, *records))
