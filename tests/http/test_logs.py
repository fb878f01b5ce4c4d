import json
import logging

import pytest

from promptlooper_export import logs
from promptlooper_export.events import TokenRefused

HOSTILE = "a\r\n2026 INFO forged\x1b[31m\x00\x85\u2028\u202e\x7fé"


def refused(reason: str) -> TokenRefused:
    return TokenRefused(request_id="r", client=None, reason=reason)


def lines(
    capfd: pytest.CaptureFixture[str],
    log_format: str,
    message: object,
    *,
    error: Exception | None = None,
) -> list[str]:
    """Log one message and return the lines on stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(log_format)
        logging.getLogger("some.where").warning(message, exc_info=error)
    finally:
        root.handlers, root.level = handlers, level
    return capfd.readouterr().err.removesuffix("\n").split("\n")


def test_a_text_line_says_when_how_bad_where_and_what(
    capfd: pytest.CaptureFixture[str],
) -> None:
    event = refused("because")
    (line,) = lines(capfd, "text", event)
    moment, rest = line.split(" ", 1)
    assert moment.endswith("Z")
    assert rest == (
        "WARNING some.where TokenRefused request_id='r' client=None reason='because'"
    )


def test_a_json_line_has_the_fields_of_the_event(
    capfd: pytest.CaptureFixture[str],
) -> None:
    (line,) = lines(capfd, "json", refused(HOSTILE))
    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "warning",
        "logger": "some.where",
        "event": "TokenRefused",
        "request_id": "r",
        "client": None,
        "reason": HOSTILE,
    }


def test_a_json_line_of_a_plain_message_has_the_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    (line,) = lines(capfd, "json", HOSTILE)
    assert json.loads(line)["message"] == HOSTILE


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_hostile_value_cannot_make_a_line_or_move_the_cursor(
    capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    for message in (HOSTILE, refused(HOSTILE)):
        (line,) = lines(capfd, log_format, message)
        assert not set(line) & set("\r\n\x1b\x00\x85\u2028\u202e\x7f")


def test_a_traceback_stays_behind_the_margin(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, *rest = lines(capfd, "text", "failed", error=ValueError(HOSTILE))
    assert first.endswith("WARNING some.where failed")
    assert any("ValueError" in line for line in rest)
    for line in rest:
        assert line.startswith("    | ")
        assert not set(line) & set("\r\x1b\x00\x85\u2028\u202e\x7f")


def test_a_traceback_is_part_of_the_json_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    (line,) = lines(capfd, "json", "failed", error=ValueError(HOSTILE))
    assert "ValueError" in str(json.loads(line)["traceback"])
