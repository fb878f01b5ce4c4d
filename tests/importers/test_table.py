"""Tables that any program wrote, with a mapping of their columns."""

import json
import math
from pathlib import Path

import pytest

from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.importers.importer import ColumnMapping, choose
from promptlooper_export.records import ExperimentRecord, RunRecord

MAPPING = ColumnMapping(scores=("accuracy",), config=("param.*", "model"), name="id")


def read(
    folder: Path, content: str, mapping: ColumnMapping = MAPPING, name: str = "runs.csv"
) -> tuple[ExperimentRecord, list[RunRecord]]:
    path = folder / name
    path.write_bytes(content.encode())
    importer = choose(str(path), kind=None, is_mapped=True)
    assert importer.read_columns is not None
    records = importer.read_columns(str(path), mapping)
    [found] = [(record, list(record.runs)) for record in records]
    return found


def the_run(
    folder: Path, content: str, mapping: ColumnMapping = MAPPING, name: str = "runs.csv"
) -> RunRecord:
    [run] = read(folder, content, mapping, name)[1]
    return run


def test_a_row_of_csv_is_a_run(tmp_path: Path) -> None:
    run = the_run(
        tmp_path,
        "id,param.temperature,param.retry.times,model,accuracy,cost_usd,seed\r\n"
        'a,0.50,3,"gpt, large",0.875,0.01,7\r\n',
    )
    assert run.name == "a"
    # As it was written: 0.50 is not 0.5.
    assert run.config == (
        '{"temperature": 0.50, "retry": {"times": 3}, "model": "gpt, large"}'
    )
    assert run.scores == {"accuracy": (0.875,)}
    assert run.cost_usd == 0.01
    assert run.status == "completed"
    assert run.tags == {"seed": 7}


def test_a_row_of_jsonl_is_a_run(tmp_path: Path) -> None:
    row = (
        '{"id": 3, "param": {"temperature": 1.10, "stop": ["a"], "a.b": {"c": {}}}, '
        '"metric": {"accuracy": 0.5, "f1": NaN}, "error": null, "note": {"by": "me"}}'
    )
    mapping = ColumnMapping(scores=("metric.*",), config=("param.*",), name="id")
    run = the_run(tmp_path, row, mapping, "runs.jsonl")
    assert run.name == "3"
    assert run.config == ('{"temperature": 1.10, "stop": ["a"], "a.b": {"c": {}}}')
    assert run.scores["accuracy"] == (0.5,)
    assert math.isnan(run.scores["f1"][0] or 0)
    assert run.tags == {"note.by": "me"}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1e5", 1e5),
        ("-3", -3),
        ("007", "007"),
        ("1.", "1."),
        ("True", True),
        ("false", False),
        ("null", None),
        ("NaN", "NaN"),
        ('"[1, 2]"', [1, 2]),
        ("high", "high"),
        ('"""quoted"""', '"quoted"'),
        ("=1+1", "=1+1"),
        ('"a\nb"', "a\nb"),
        ("\u2028", "\u2028"),
    ],
)
def test_a_cell_is_what_json_would_read_or_else_text(
    tmp_path: Path, cell: str, value: object
) -> None:
    run = the_run(tmp_path, f"id,model,param.x,accuracy\n1,{cell},2,1\n")
    assert json.loads(run.config)["model"] == value


@pytest.mark.parametrize(
    ("cell", "score"),
    [("1", 1), ("true", 1), ("False", 0), ("inf", math.inf), ("-Infinity", -math.inf)],
)
def test_a_score_is_a_number_or_a_word_for_one(
    tmp_path: Path, cell: str, score: float
) -> None:
    run = the_run(tmp_path, f"id,model,param.x,accuracy\n1,m,2,{cell}\n")
    assert run.scores == {"accuracy": (score,)}


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    run = the_run(tmp_path, "id,model,param.x,accuracy,error\n1,,2,,\n")
    assert (run.config, run.scores, run.error) == ('{"x": 2}', {}, None)
    assert run.status == "pending"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    content = "id,model,param.x,accuracy\n1,m,2,0.5\n".replace(",", delimiter)
    run = the_run(tmp_path, f"\ufeff{content}")
    assert (run.name, run.scores) == ("1", {"accuracy": (0.5,)})


def test_the_file_names_the_experiment(tmp_path: Path) -> None:
    content = "id,model,param.x,accuracy\n1,m,2,0.5\n"
    record, [run] = read(tmp_path, content, name="august.csv")
    again, [same] = read(tmp_path, content, name="august.csv")
    assert record.name == "august"
    assert (record.id, run.id) == (again.id, same.id)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("id,model,accuracy\n1,m,0.5\n", "no column 'param.*'; its columns are id, mo"),
        ("id,model,param.x,accuracy\n1,m,2,high\n", ":2: accuracy: 'high' is not a nu"),
        ("id,model,param.x,accuracy\n1,m,2\n", ":2: has 3 cells, but the header has 4"),
        (
            'id,model,param.x,accuracy\n1,m,2,"0.5\n',
            ":2: a cell in quotes does not end",
        ),
        ('id,model,param.x,accuracy\n1,m"n",2,1\n', ":2: cell 2 is not valid CSV"),
        ("id,id,param.x\n", ":1: the column 'id' is there twice"),
        ("id,model,param.x,accuracy,status\n1,m,2,1,ok\n", "status: Must be one of"),
        ("id,param.a,param.a.b,model,accuracy\n1,2,3,m,1\n", "a has a value itself"),
        ("id,param.a.b,param.a,model,accuracy\n1,2,3,m,1\n", "a: has several values"),
        (
            '{"accuracy": 1, "model": NaN, "id": 1, "param": {"x": 1}}',
            "the config: NaN",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_place(
    tmp_path: Path, content: str, why: str
) -> None:
    with pytest.raises(SourceError) as raised:
        read(tmp_path, content)
    assert why in raised.value.detail
    assert raised.value.detail.startswith(str(tmp_path / "runs.csv"))


@pytest.mark.parametrize(
    ("mapping", "lacking"),
    [
        (ColumnMapping(scores=("accuracy",)), "--config"),
        (ColumnMapping(config=("model",)), "--score"),
    ],
)
def test_both_scores_and_config_are_needed(
    tmp_path: Path, mapping: ColumnMapping, lacking: str
) -> None:
    with pytest.raises(UsageError, match=f"{lacking} COLUMN"):
        read(tmp_path, "model,accuracy\nm,1\n", mapping)


@pytest.mark.parametrize(
    ("name", "content"),
    [("runs.csv", "id,acc\n1,2\n"), ("runs.jsonl", '{"id": 1, "acc": 2}\n')],
)
def test_a_table_without_a_mapping_says_which_options_to_add(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(SourceError) as raised:
        choose(str(path), kind=None).read(str(path))
    assert raised.value.detail == (
        f"{path}: a table: say which columns are scores and which are the config, with "
        "--score COLUMN and --config COLUMN; its columns are id, acc"
    )
