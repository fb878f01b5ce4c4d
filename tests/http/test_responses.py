import json
import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlooper_export.documents import Notice
from promptlooper_export.web.delivery import disposition, warnings_field

FIELD = re.compile(
    r"inline; filename=\"([A-Za-z0-9._-]+)\.json\""
    r"(?:; filename\*=UTF-8''([A-Za-z0-9._~%-]+)\.json)?"
)


@pytest.mark.parametrize(
    ("title", "plain", "encoded"),
    [
        ("summaries", "summaries", None),
        ("Run-1_b.c", "Run-1_b.c", None),
        ("two words", "two_words", "two%20words"),
        ("Prüfung", "Pr_fung", "Pr%C3%BCfung"),
        ("日本", "experiment", "%E6%97%A5%E6%9C%AC"),
        ("../../etc/passwd", "_.._etc_passwd", None),
        ('a"b\\c', "a_b_c", None),
        ("a\r\nSet-Cookie: b=c", "aSet-Cookie__b_c", "aSet-Cookie_%20b%3Dc"),
        ("a\0b\u202ec\ud800d", "abcd", None),
        ("", "experiment", None),
        (" ... ", "experiment", None),
        ("\u200b", "experiment", None),
        ("C:\\x", "C__x", None),
        ("a;b=c%20", "a_b_c_20", "a%3Bb%3Dc%2520"),
    ],
)
def test_a_title_becomes_a_file_name(
    title: str, plain: str, encoded: str | None
) -> None:
    match = FIELD.fullmatch(disposition(title, "json"))
    assert match is not None
    assert match.groups() == (plain, encoded)


def test_a_long_title_is_cut_between_characters() -> None:
    match = FIELD.fullmatch(disposition("é" * 200, "json"))
    assert match is not None
    assert unquote(match[2]) == "é" * 75


@given(st.text())
def test_no_title_breaks_the_header(title: str) -> None:
    match = FIELD.fullmatch(disposition(title, "json"))
    assert match is not None
    name = unquote(match[2] or match[1])
    assert len(name.encode()) <= 150
    assert not {"Cc", "Cf", "Cs"} & {unicodedata.category(char) for char in name}
    assert not set(name) & set('/\\:*?"<>|')


def notice(number: int, size: int = 1) -> Notice:
    return Notice(code=f"n{number}", message="x" * size)


def test_few_warnings_are_all_named() -> None:
    rows = json.loads(warnings_field([notice(1), notice(2)]))
    assert rows == [{"code": "n1", "message": "x"}, {"code": "n2", "message": "x"}]


@pytest.mark.parametrize(
    ("count", "size"), [(1000, 1), (3, 1500), (1, 5000), (10, 200)]
)
def test_many_warnings_are_cut_and_the_rest_counted(count: int, size: int) -> None:
    field = warnings_field([notice(number, size) for number in range(count)])
    *named, left_out = json.loads(field)
    assert len(field) <= 2048
    assert len(named) + left_out == count
    assert [row["code"] for row in named] == [f"n{i}" for i in range(len(named))]


@given(st.lists(st.builds(Notice, code=st.text(), message=st.text(), path=st.text())))
def test_no_warning_breaks_the_header(notices: list[Notice]) -> None:
    field = warnings_field(notices)
    assert re.fullmatch(r"[\x20-\x7e]*", field)
    assert len(field) <= 2048
