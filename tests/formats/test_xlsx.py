"""Every run as a row of a workbook."""

import io
from dataclasses import replace
from typing import Any

import openpyxl
import pytest

from formats.rendering import Rendered, render, row, table
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

XLSX = discover().formats["xlsx"]


def sheet(rendered: Rendered, name: str = "Runs") -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(rendered.body))
    return list(book[name].iter_rows(values_only=True))


def cells(config: dict[str, Any]) -> dict[str, Any]:
    header, values = sheet(render(XLSX, table(row(config))))
    return dict(zip(header, values, strict=True))


def test_numbers_are_numbers_with_every_digit() -> None:
    found = cells({"a": 0.1 + 0.2, "b": -7, "c": 1e-300, "d": True, "e": 2**53})
    assert found["config.a"] == 0.1 + 0.2
    assert found["config.b"] == -7
    assert found["config.c"] == 1e-300
    assert found["config.d"] is True
    assert found["config.e"] == 2**53


def test_an_integer_that_no_double_holds_is_text_and_said() -> None:
    rendered = render(XLSX, table(row({"a": 2**53 + 1})))
    header, values = sheet(rendered)
    assert values[header.index("config.a")] == str(2**53 + 1)
    assert rendered.codes == ["big-integer"]


def test_text_beyond_a_cell_is_cut_visibly_named_and_said() -> None:
    rendered = render(XLSX, table(row({"a": "é" * 32_767}), row({"a": "x" * 32_768})))
    rows = sheet(rendered)
    place = rows[0].index("config.a")
    assert rows[1][place] == "é" * 32_767
    assert rows[2][place].endswith("… [cut]")
    assert rendered.codes == ["cut-cell"]
    [note] = sheet(rendered, "Notes")
    assert note[0] == f"row 3, column {place + 1}, 32,768 characters"
    assert note[2] == "config.a"


def test_more_runs_than_a_sheet_has_rows_are_refused_before_any_is_read() -> None:
    runs = replace(table(), count=1_048_576)
    with pytest.raises(UnrepresentableError, match="format=parquet"):
        render(XLSX, runs)
