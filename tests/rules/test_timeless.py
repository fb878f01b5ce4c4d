"""A body is kept without its time only if two differ in nothing else."""

from datetime import UTC, datetime

import pytest

from promptlooper_export.documents import Notice
from promptlooper_export.schemas import timestamp
from promptlooper_export.spool import Body, Space, spool
from promptlooper_export.timeless import timeless

MOMENTS = [
    datetime(2026, 11, 28, 23, 59, 59, 999_999, UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2028, 2, 29, 12, 30, 1, 5, UTC),
]


def body(text: str, *notices: Notice) -> Body:
    return spool(
        [*notices, text.encode()],
        title="any",
        content=b"same",
        row_count=None,
        last_run=None,
        limit=1000,
        space=Space(),
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_times_are_put_where_they_belong(moment: datetime) -> None:
    def render(at: datetime) -> Body:
        return body(f"{timestamp(at)} and {timestamp(at)}.")

    kept = timeless(render(moment), moment, render)
    assert kept is not None
    for other in MOMENTS:
        made = kept.at(other, limit=1000, space=Space())
        assert made.file.read() == render(other).file.read()
        assert made.content == b"same"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "form", ["%Y", "%B", "%d", "%H", "%M", "%S", "%f", "%Y-%m-%d", "%d %b %Y, %H:%M"]
)
def test_a_time_in_another_form_is_noticed(moment: datetime, form: str) -> None:
    def render(at: datetime) -> Body:
        return body(f"{timestamp(at)} {at:{form}}")

    assert timeless(render(moment), moment, render) is None


def test_anything_else_that_differs_is_noticed() -> None:
    numbers = iter(range(10))
    moment = MOMENTS[0]

    def render(at: datetime) -> Body:
        return body(f"{timestamp(at)} {next(numbers)}")

    def warn(at: datetime) -> Body:
        return body(timestamp(at), Notice(code="any", message=str(at.year)))

    assert timeless(render(moment), moment, render) is None
    assert timeless(warn(moment), moment, warn) is None
