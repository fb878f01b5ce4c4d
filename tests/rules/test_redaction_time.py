"""Redaction takes time in proportion to the length of what it reads."""

import time
from collections.abc import Callable

import pytest

import secrets_corpus as corpus
from formats.rendering import best
from promptlooper_export.redaction import redact, redact_text
from promptlooper_export.redaction.issuers import SHAPES

ENOUGH = 0.0015
"""Seconds of CPU from which a measurement is not only noise."""

MOST = 1 << 17
TRIES = 8
RATIO = 3.0
"""Linear work doubles with its input, quadratic work takes four times as long."""

STARTS = sorted({shape[:n] for shape in corpus.SHAPES.values() for n in (3, 8, 21)})
TABLE = sorted({shape.start for shape in SHAPES if shape.start})
LEADS = sorted(
    {text[: text.index(corpus.PHRASE) + n] for text in corpus.IN_TEXT.values()
     for n in (0, 1, 5)}
)  # fmt: skip
SEEDS = [
    *STARTS,
    *(f"-{start}a1" for start in TABLE),
    *(f"-{start}" for start in STARTS),
    *(f"{start}." for start in STARTS),
    *LEADS,
    *(lead.replace(" ", "") for lead in LEADS),
    "://", "://a", "://a:", "a@", "@", ":", "=", "=a", "a=", "a:", "a: ",
    'a="', "a='", '\\"', "\\", '"', "'", "{", "${", "{{", "<", "<a", "[", "(",
    "&", "&amp;", "?", "?a", " ", "\n", "\t", "- ", "--", "--a", "-u ", "-u a:",
    "a/", "a/b@", "a:b@", "a@tcp(", "\u00e9", "A", "0", "aA0", "A_", "a.", "a-",
    "token", "token ", "token=", "token:", "token\n", "key=a1", "password ",
    "password is ", "bearer ", "authorization", "authorization: ", "secret",
    "cookie: ", "cookie: a=b;", "-----BEGIN PRIVATE KEY-----", "-----",
]  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def ratio(work: Callable[[int], Callable[[], object]], count: int) -> float:
    """Return how much longer twice the work takes, at a size that can be measured."""
    while (single := cpu(work(count))) < ENOUGH and count < MOST:
        count *= 2
    double = cpu(work(2 * count))
    # Another process can only add to a time: the shortest of several is the truest.
    for _ in range(TRIES):
        if double < RATIO * single:
            break
        single = min(single, cpu(work(count)))
        double = min(double, cpu(work(2 * count)))
    return double / single


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", SEEDS)
def test_twice_the_text_takes_twice_the_time(seed: str) -> None:
    def work(count: int) -> Callable[[], object]:
        text = seed * (count // len(seed) + 1)
        return lambda: redact_text(text)

    assert ratio(work, 1 << 12) < RATIO


KEYS: dict[str, Callable[[int], str]] = {
    "secrets": lambda number: f"gh{'p'}_{number:036}",
    "numbered secrets": lambda number: (
        f"[redacted] {number}" if number % 2 else f"gh{'p'}_{number:036}"
    ),
    "names of secrets": lambda number: f"password_{number}",
    "long": lambda number: "token_" * 100 + str(number),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", KEYS)
def test_twice_the_keys_take_twice_the_time(name: str) -> None:
    def work(count: int) -> Callable[[], object]:
        config = {KEYS[name](number): "a1b2c3d4" for number in range(count)}
        document = best(config)
        return lambda: redact(document)

    assert ratio(work, 1 << 8) < RATIO
