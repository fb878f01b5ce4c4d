import json
import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import choose
from promptlooper_export.importers.interchange import read
from promptlooper_export.records import ExperimentRecord, RunRecord

HEAD = '{"type":"experiment","name":"summaries","created_at":"2026-01-02T03:04:05Z"}'

Reader = Callable[..., list[tuple[ExperimentRecord, list[RunRecord]]]]


@pytest.fixture
def records(tmp_path: Path) -> Reader:
    def read_lines(
        *lines: str, name: str = "results.ndjson"
    ) -> list[tuple[ExperimentRecord, list[RunRecord]]]:
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
        return [(found, list(found.runs)) for found in read(str(path))]

    return read_lines


def the_run(records: Reader, **members: object) -> RunRecord:
    line = json.dumps({"type": "run", "config": {}, **members})
    [(_, [found])] = records(HEAD, line)
    return found


def test_runs_belong_to_the_experiment_before_them(records: Reader) -> None:
    found = records(
        '{"type":"experiment","name":"a"}',
        '{"type":"run","name":"1","config":{}}',
        '{"type":"run","name":"2","config":{}}',
        '{"type":"experiment","name":"b"}',
        '{"type":"experiment","name":"c"}',
        '{"type":"run","name":"3","config":{}}',
    )
    assert [(one.name, [run.name for run in runs]) for one, runs in found] == [
        ("a", ["1", "2"]),
        ("b", []),
        ("c", ["3"]),
    ]


def test_every_member_is_read(records: Reader) -> None:
    stage = {"stage_name": "judge", "output": "ok", "tokens_in": 1, "duration_ms": 3}
    found = the_run(
        records,
        id="00000000-0000-0000-0000-000000000007",
        name="seven",
        status="failed",
        config={"a": 1},
        config_hash="beef",
        scores={"accuracy": [0.5, None, 1], "cost": None, "speed": 2},
        tokens_in=10,
        tokens_out=20,
        duration_ms=30,
        cases={"accuracy": ["first", None, "second"], "speed": "first"},
        cost_usd=0.5,
        error="broke",
        tags=["x"],
        stage_results=[stage],
        created_at="2026-02-01T00:00:00+02:00",
        started_at="2026-02-01T00:00:00",
        finished_at="2026-02-01T00:00:01.5Z",
        updated_at="2026-02-02T00:00:00Z",
    )
    assert found.id == UUID(int=7)
    assert (found.name, found.status, found.config) == ("seven", "failed", '{"a": 1}')
    assert found.config_hash == "beef"
    assert found.scores == {
        "accuracy": (0.5, None, 1.0),
        "cost": (None,),
        "speed": (2.0,),
    }
    assert found.cases == {"accuracy": ("first", None, "second"), "speed": ("first",)}
    assert (found.tokens_in, found.tokens_out, found.duration_ms) == (10, 20, 30)
    assert (found.cost_usd, found.error, found.tags) == (0.5, "broke", ["x"])
    assert found.stage_results[0].stage_name == "judge"
    assert found.stage_results[0].tokens_out is None
    assert found.created_at == datetime(2026, 1, 31, 22, tzinfo=UTC)
    assert found.started_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert found.finished_at == datetime(2026, 2, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 2, 2, tzinfo=UTC)


def test_what_a_run_does_not_say_is_filled_in_the_same_way_every_time(
    records: Reader,
) -> None:
    found = the_run(records)
    assert found == the_run(records)
    # printf '{}' | sha256sum
    assert found.config_hash == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert found.created_at is found.started_at is found.updated_at is None


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"scores": {"accuracy": 1}}, "completed"),
        ({"scores": {"accuracy": 1}, "error": "late"}, "completed"),
        ({"scores": {"accuracy": None}}, "pending"),
        ({"error": "broke"}, "failed"),
        ({}, "pending"),
        ({"status": None}, "pending"),
    ],
)
def test_a_missing_status_follows_from_the_rest(
    records: Reader, members: dict[str, object], status: str
) -> None:
    assert the_run(records, **members).status == status


def test_an_experiment_without_a_name_has_the_files(records: Reader) -> None:
    [(found, _)] = records('{"type":"experiment"}', name="august.ndjson")
    assert found.name == "august"
    assert found.status == "completed"
    assert found.created_at is found.updated_at is None


@given(
    st.dictionaries(
        st.text(),
        st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_the_text_of_a_config_is_kept(
    config: dict[str, object], indent: int | str | None
) -> None:
    text = json.dumps(config, indent=indent).replace("\n", " ")
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        file.write(HEAD + '\n{"config" : ' + text + ' , "type":"run"}')
        file.flush()
        assert [run.config for run in next(read(file.name)).runs] == [text]


def test_digits_of_a_config_survive(records: Reader) -> None:
    text = '{"a": 1.00, "b": 123456789012345678901234567890, "c": 0.1e-5, "a": 2}'
    [(_, [found])] = records(HEAD, '{"type":"run","config":' + text + "}")
    assert found.config == text


def test_scores_may_be_nan_or_infinite(records: Reader) -> None:
    line = '{"type":"run","config":{},"scores":{"a":NaN,"b":[Infinity,-Infinity]}}'
    [(_, [found])] = records(HEAD, line)
    assert isnan(found.scores["a"][0] or 0)
    assert found.scores["b"] == (float("inf"), float("-inf"))


def test_a_null_config_stands_for_one_that_was_no_json(records: Reader) -> None:
    assert the_run(records, config=None).config == "null"


def test_equal_runs_without_ids_are_different_runs(records: Reader) -> None:
    line = '{"type":"run","config":{},"scores":{"a":1}}'
    [(_, runs)] = records(HEAD, line, line, line)
    assert len({run.id for run in runs}) == 3


def test_ids_do_not_change_when_runs_are_added(records: Reader) -> None:
    first, second = '{"type":"run","config":{}}', '{"type":"run","config":{"a":1}}'
    [(before, old)] = records(HEAD, first, first)
    [(after, new)] = records(HEAD, second, first, first)
    assert before.id == after.id
    assert [run.id for run in new[1:]] == [run.id for run in old]


def test_ids_depend_on_the_file(records: Reader) -> None:
    line = '{"type":"run","config":{}}'
    [(one, [a])] = records(HEAD, line, name="a.ndjson")
    [(other, [b])] = records(HEAD, line, name="b.ndjson")
    assert one.id != other.id
    assert a.id != b.id


def test_blank_lines_a_byte_order_mark_and_returns_do_no_harm(records: Reader) -> None:
    [(_, runs)] = records("\ufeff" + HEAD, "", '{"type":"run","config":{}}\r', "  ")
    assert len(runs) == 1


RUN = '{"type":"run","config":{}'
ID = '"id":"00000000-0000-0000-0000-000000000001"'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not valid JSON"),
        ("{}", "not valid JSON"),
        ("[]", "Expecting '{' (column 1)"),
        (RUN + ",}", "not valid JSON"),
        (RUN + "}}", "Expecting the end of the line (column 27)"),
        (RUN + ',"config":{}}', "'config' is there twice"),
        ('{"config":{}}', 'the member "type" must be "experiment" or "run"'),
        ('{"type":"trial","config":{}}', 'must be "experiment" or "run"'),
        ('{"type":["run"],"config":{}}', 'must be "experiment" or "run"'),
        ('{"type":"run"}', "config: must be there and be an object"),
        ('{"type":"run","config":[]}', "config: must be there and be an object"),
        ('{"type":"run","config":{"a":NaN}}', "NaN is not a JSON value"),
        ('{"type":"run","config":{"a":1e999}}', "1e999 is beyond the range"),
        (RUN + ',"scores":[1]}', "scores: Must be an object"),
        (RUN + ',"scores":{"a":"1"}}', "scores.a: Must be a number"),
        (RUN + ',"scores":{"a":true}}', "scores.a: Must be a number"),
        (RUN + ',"scores":{"a":[[1]]}}', "scores.a: Must be a number"),
        (RUN + ',"scores":{"a":1' + "0" * 400 + "}}", "scores.a: Must be a number"),
        (RUN + ',"cases":"a"}', "cases: Must be an object"),
        (RUN + ',"cases":{"a":[7]}}', "cases.a: Must be a text, null or a list"),
        (RUN + ',"cases":{"a":"one"}}', "cases.a: there are 1 for 0 judgements"),
        (RUN + ',"scores":{"a":1},"cases":{"a":[]}}', "there are 0 for 1 judgements"),
        (RUN + ',"tokens_in":"5"}', "tokens_in: Must be a whole number"),
        (RUN + ',"tokens_in":true}', "tokens_in: Must be a whole number"),
        (RUN + ',"tokens_in":1.0}', "tokens_in: Must be a whole number"),
        (RUN + ',"duration_ms":-1}', "duration_ms: Must be a whole number"),
        (RUN + ',"tokens_out":9223372036854775808}', "tokens_out: Must be a whole"),
        (RUN + ',"cost_usd":"free"}', "cost_usd: Must be a finite number"),
        (RUN + ',"status":"done"}', "status: Must be one of: pending, running"),
        (RUN + ',"id":"seven"}', "id: Not a valid UUID"),
        (RUN + ',"created_at":"today"}', "created_at: Must be a moment such as"),
        (RUN + ',"created_at":7}', "created_at: Must be a moment such as"),
        (RUN + ',"created_at":"0001-01-01T00:00:00+10:00"}', "created_at: Must be"),
        (RUN + ',"name":7}', "name: Not a valid string"),
        (RUN + ',"name":"a\\u0000"}', "name: Holds NUL"),
        (RUN + ',"error":"\\ud800"}', "error: Holds half a surrogate pair"),
        (RUN + ',"tags":["\\ud800"]}', "tags: Holds half a surrogate pair"),
        (RUN + ',"stage_results":[{}]}', "stage_results.0.stage_name: Missing"),
        (RUN + ',"score":1}', "unknown member 'score'; did you mean scores?"),
        (RUN + ',"flavour":null}', "unknown member 'flavour'; import --lenient"),
        (RUN + ',"stage_results":[{"stage":"a"}]}', "did you mean stage_name?"),
        (RUN + ',"x":"\udcff"}', "not UTF-8 (byte 32)"),
        (RUN + ',"x":' + "[" * 100_000 + "}", "nested too deeply"),
        (RUN + ',"x":' + "1" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(
    records: Reader, tmp_path: Path, line: str, reason: str
) -> None:
    with pytest.raises(SourceError) as caught:
        records(HEAD, RUN + "}", line)
    assert caught.value.detail.startswith(f"{tmp_path / 'results.ndjson'}:3: ")
    assert reason in caught.value.detail


def test_a_run_needs_an_experiment_before_it(records: Reader) -> None:
    with pytest.raises(SourceError, match=":1: a run before the first experiment"):
        records(RUN + "}", HEAD)


def test_an_id_is_there_once(records: Reader) -> None:
    with pytest.raises(SourceError, match=r":3: the id .*01 is there twice"):
        records(HEAD, f"{RUN},{ID}}}", f"{RUN},{ID}}}")


def test_an_empty_file_holds_no_experiment(records: Reader) -> None:
    with pytest.raises(SourceError, match="holds no experiment"):
        records("", "")


def test_a_directory_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Is a directory"):
        next(read(str(tmp_path)))


def test_a_line_over_64_mib_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    with path.open("w") as file:
        file.write(HEAD + '\n{"type":"run","config":{"text":"')
        file.writelines("x" * (1 << 20) for _ in range(64))
        file.write('"}}')
    with pytest.raises(SourceError, match=":2: the line is longer than 67108864"):
        [list(found.runs) for found in read(str(path))]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.ndjson"
    text = "x" * 10_000
    with path.open("w") as file:
        file.write(HEAD + "\n")
        file.writelines(
            f'{{"type":"run","config":{{"seed":{i},"text":"{text}"}}}}\n'
            for i in range(3000)
        )
    tracemalloc.start()
    count = sum(1 for found in read(str(path)) for _ in found.runs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3000
    assert peak < 3_000_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.ndjson", ""),
        ("results.jsonl", ""),
        ("results", HEAD),
        ("results.json", '{ "id": 1, "type" : "experiment"}'),
    ],
)
def test_an_interchange_file_is_recognised(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert choose(str(path), kind=None).read is read
