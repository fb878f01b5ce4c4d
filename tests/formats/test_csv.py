"""Every run as a row of CSV."""

import csv
import io
import json
import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.configs import Config, configs
from formats.rendering import RUN, render, row, table
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.plugin import UnrepresentableError, flatten
from promptlooper_export.registry import load_format_options
from promptlooper_formats.csv import CSV

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
COMPUTED = "=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20"


def cells(body: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    text = io.StringIO(body.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=delimiter, strict=True))


def test_columns_stand_in_the_order_of_the_contract() -> None:
    rows = (row({"b": {"c": 1}}, scores={"z": 1.0}), row({"a": 1}, scores={"y": 2.0}))

    header = render(CSV, table(*rows)).text.split("\r\n")[0]

    assert header.replace('"', "").split(",") == [
        *("run_id", "name", "status", "weighted_score", "rank"),
        *("config.a", "config.b.c", "config_hash", "scores.y", "scores.z"),
        *("tokens_in", "tokens_out", "duration_ms", "cost_usd", "error", "tags"),
        *("created_at", "started_at", "finished_at", "updated_at"),
    ]


def test_kinds_of_values_stay_apart() -> None:
    config: Config = {
        "text": "1", "number": 1, "float": -1.5, "yes": True, "none": None,
        "empty": "", "list": [1, "x"], "object": {},
    }  # fmt: skip

    body = render(CSV, table(row(config), row({}))).text

    first, second = body.split("\r\n")[1:3]
    assert first == (
        f'{RUN},,"completed",,,"",-1.5,"[1, ""x""]",null,1,"{{}}","1",true,'
        '"c0ffee",,,,,,,2026-01-02T03:04:05Z,,,2026-01-02T03:04:05Z'
    )
    assert second.startswith(f'{RUN},,"completed",,,,,,,,,,,"c0ffee"')


@given(configs)
def test_every_config_that_csv_can_hold_is_read_back(config: Config) -> None:
    leaves = {f"config.{path}": value for path, value in flatten(config)}
    document = table(row(config))
    if any("\0" in name or "\0" in str(value) for name, value in leaves.items()):
        with pytest.raises(UnrepresentableError):
            render(CSV, document, raw=True)
        return

    [read] = cells(render(CSV, document, raw=True).body)

    for name, value in leaves.items():
        assert (read[name] if isinstance(value, str) else json.loads(read[name])) == (
            value
        )


@given(TEXT)
def test_text_is_read_back_once_the_guard_is_taken_away(text: str) -> None:
    found = render(CSV, table(row({"k": text})))

    cell = cells(found.body)[0]["config.k"]
    assert cell.removeprefix("'") == text
    assert (cell != text) == (found.codes == ["guarded-cells"])
    assert not cell.startswith(tuple(COMPUTED.replace("'", "")))


@pytest.mark.parametrize("start", COMPUTED)
def test_a_spreadsheet_computes_no_text(start: str) -> None:
    hostile = row({"k": f"{start}1+1"}, name=f"{start}x", error=f"{start}y", tags=start)

    found = render(CSV, table(hostile))

    [read] = cells(found.body)
    for name in ("config.k", "name", "error", "tags"):
        assert read[name].startswith(f"'{start}")
    assert found.notices[0].message.startswith("4 cells ")


def test_numbers_keep_their_sign() -> None:
    found = render(CSV, table(row({"k": -1.5}, weighted_score=-2.0, cost_usd=-0.5)))

    [read] = cells(found.body)
    assert (read["config.k"], read["weighted_score"], read["cost_usd"]) == (
        "-1.5",
        "-2.0",
        "-0.5",
    )
    assert found.notices == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_can_be_chosen(delimiter: str) -> None:
    text = 'a,b;c\td|e"\r\nf'
    body = render(CSV, table(row({"k": text})), delimiter=delimiter).body

    assert cells(body, delimiter)[0]["config.k"] == text


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_numbers_can_have_a_decimal_comma_and_text_stays(delimiter: str) -> None:
    config: Config = {"a": 1.5, "b": -1.2, "c": "1.5", "d": [0.5], "e": 7, "f": 1e-7}
    document = table(row(config, weighted_score=0.25, cost_usd=0.5))

    body = render(CSV, document, delimiter=delimiter, decimal=",").body

    [read] = cells(body, delimiter)
    assert [read[f"config.{key}"] for key in config] == [
        *("1,5", "-1,2", "1.5", "[0.5]", "7", "1e-07")
    ]
    assert (read["weighted_score"], read["cost_usd"]) == ("0,25", "0,5")
    assert delimiter.join(["1,5", "-1,2", '"1.5"']).encode() in body


@pytest.mark.parametrize("pairs", [[], [("delimiter", ",")]])
def test_a_decimal_comma_needs_another_delimiter(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidParameterError, match="add delimiter=;"):
        load_format_options(CSV, [("decimal", ","), *pairs])
    assert load_format_options(CSV, [("decimal", ","), ("delimiter", ";")])


def test_a_byte_order_mark_can_be_asked_for() -> None:
    assert render(CSV, table(), bom=True).body.startswith(b'\xef\xbb\xbf"run_id')
    assert render(CSV, table()).body.startswith(b'"run_id"')


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_what_csv_cannot_hold_is_refused_by_name(character: str) -> None:
    with pytest.raises(UnrepresentableError) as caught:
        render(CSV, table(row({"k": {"deep": f"x{character}"}}, name=character)))

    assert caught.value.members["paths"] == ["name", "config.k.deep"]
    assert str(RUN) in caught.value.detail


def test_a_column_that_was_not_announced_is_never_dropped() -> None:
    document = table(row({}))
    hidden = table(row({"k": 1}))
    object.__setattr__(document, "batches", hidden.batches)

    with pytest.raises(UnrepresentableError, match=r"config\.k"):
        render(CSV, document)


def test_the_command_for_duckdb_in_the_docs_gives_back_every_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    [command] = re.findall(
        r'duckdb -c "(SELECT \* FROM read_csv.*)"\n', page.read_text(encoding="utf-8")
    )
    texts = ("1.10", "inf", "", "NA", "00501", "null", "true", "2024-01-01", "a\nb")
    config: Config = {f"k{place}": text for place, text in enumerate(texts)}
    body = render(CSV, table(row(config), row({"other": "x"})), raw=True).body
    (tmp_path / "runs.csv").write_bytes(body)
    monkeypatch.chdir(tmp_path)

    found = duckdb.execute(command.replace('\\"', '"'))
    names = [column[0] for column in found.description or ()]
    first, second = (dict(zip(names, cells, strict=True)) for cells in found.fetchall())

    assert [first[f"config.{key}"] for key in config] == list(texts)
    assert first["config.other"] is None
    assert {second[f"config.{key}"] for key in config} == {None}
