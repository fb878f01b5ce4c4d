"""What an answer proves, told from the answer alone."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.scripted import digest
from promptlooper_export.proof import Answer, Outcome, verify

BODY = b"PROMPT=hello\n"
PROBLEM = ("Content-Type", "application/problem+json")


def received(
    *fields: tuple[str, str],
    status: int = 200,
    body: bytes = BODY,
    method: str = "GET",
) -> Answer:
    return Answer(
        status=status,
        fields=fields,
        length=len(body),
        sha256=sha256(body).digest(),
        method=method,
    )


LENGTH = ("Content-Length", str(len(BODY)))
DIGEST = ("Repr-Digest", digest(BODY))
WHOLE = received(LENGTH, DIGEST, ("Content-Type", "Text/Plain; charset=utf-8"))


def test_length_and_digest_prove_an_export() -> None:
    assert verify(WHOLE).complete
    assert verify(WHOLE, media_type="text/plain").complete


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (received(DIGEST), "no Content-Length"),
        (received(LENGTH), "no Repr-Digest"),
        (received(LENGTH, LENGTH, DIGEST), "is not a number"),
        (received(("Content-Length", "-1"), DIGEST), "is not a number"),
        (received(("Content-Length", "\uff11\uff13"), DIGEST), "is not a number"),
        (received(LENGTH, DIGEST, ("Transfer-Encoding", "chunked")), "stream"),
        (received(LENGTH, DIGEST, body=BODY[:-1]), "12 of 13 bytes"),
        (received(LENGTH, DIGEST, body=BODY + b"x"), "14 of 13 bytes"),
        (received(LENGTH, DIGEST, body=BODY.upper()), "digest"),
        (received(LENGTH, ("Repr-Digest", digest(BODY)[:-1])), "no Repr-Digest"),
        (received(LENGTH, ("Content-Digest", digest(BODY))), "no Repr-Digest"),
        (received(LENGTH, DIGEST, status=206), "a part"),
        (received(LENGTH, DIGEST, status=203), "203 is not an export"),
        (received(LENGTH, DIGEST, status=302), "302 is not an export"),
        (received(LENGTH, DIGEST, status=502), "not a problem document"),
        (received(PROBLEM, LENGTH, DIGEST, status=404, body=b"{"), "1 of 13"),
        (received(PROBLEM, status=404), "no Content-Length"),
        (received(LENGTH, method="HEAD", body=b""), "no Repr-Digest"),
        (received(DIGEST, method="HEAD", body=b""), "no Content-Length"),
        (received(status=304, body=b""), "without its ETag"),
        (received(("ETag", '"ab'), status=304, body=b""), "without its ETag"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_less_proves_nothing(answer: Answer, reason: str) -> None:
    verdict = verify(answer)
    assert verdict.outcome == "broken"
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (received(PROBLEM, LENGTH, DIGEST, status=404), "refused"),
        (received(PROBLEM, LENGTH, DIGEST, status=500), "refused"),
        (received(LENGTH, DIGEST, method="HEAD", body=b""), "bodiless"),
        (received(("ETag", 'W/"a"'), status=304, body=b""), "bodiless"),
    ],
)
def test_an_answer_can_be_whole_without_an_export(
    answer: Answer, outcome: Outcome
) -> None:
    verdict = verify(answer)
    assert (verdict.outcome, verdict.complete) == (outcome, False)


def test_another_media_type_is_not_what_was_asked_for() -> None:
    verdict = verify(WHOLE, media_type="application/json")
    assert verdict.outcome == "broken"
    assert "application/json was asked for, text/plain came" in verdict.reason


def test_one_of_several_digests_is_enough() -> None:
    fields = LENGTH, ("Repr-Digest", f"sha-512=:AAAA:, {digest(BODY)}, unixsum=:MA==:")
    assert verify(received(*fields)).complete
    again = LENGTH, ("repr-digest", "sha-512=:AAAA:"), DIGEST
    assert verify(received(*again)).complete


def test_a_connection_that_fails_afterwards_takes_nothing_away() -> None:
    assert verify(replace(WHOLE, failure="reset")).complete


def test_the_failure_of_the_connection_is_told() -> None:
    verdict = verify(replace(WHOLE, length=3, failure="reset by peer"))
    assert verdict.reason == "3 of 13 bytes came; the connection failed: reset by peer"


@pytest.mark.parametrize(
    ("content_range", "complete"),
    [
        ("bytes 5-12/13", True),
        ("bytes 5-12/*", False),
        ("bytes 4-11/13", False),
        ("bytes 5-12/14", False),
    ],
)
def test_the_rest_of_an_export_must_fit_the_part_before(
    content_range: str, *, complete: bool
) -> None:
    rest = replace(
        received(
            ("Content-Length", "8"),
            DIGEST,
            ("Content-Range", content_range),
            status=206,
        ),
        offset=5,
    )
    assert verify(rest).complete is complete


@given(st.binary(max_size=50), st.integers(0, 60))
def test_no_beginning_passes_for_the_whole(body: bytes, cut: int) -> None:
    fields = ("Content-Length", str(len(body))), ("Repr-Digest", digest(body))
    verdict = verify(received(*fields, body=body[:cut]))
    assert verdict.complete is (cut >= len(body))
