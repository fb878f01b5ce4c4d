"""The short form of `make faults`: a part of an export cannot pass for the whole."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from faults.matrix import (
    Bench,
    Outcome,
    bench,
    cuts,
    failures,
    good_answers,
    streams,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("faults")) as running:
        yield running


def wrong(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.right]


def test_a_whole_export_is_proven_on_every_way(served: Bench) -> None:
    outcomes = list(good_answers(served))
    assert len(outcomes) >= 50
    assert wrong(outcomes) == []


def test_a_cut_export_is_broken_on_every_way(served: Bench) -> None:
    outcomes = list(cuts(served, pieces=3))
    assert sum(not outcome.good for outcome in outcomes) >= 50
    assert wrong(outcomes) == []


def test_a_failure_of_the_service_is_no_export(served: Bench) -> None:
    assert wrong(failures(served)) == []


def test_a_stream_without_a_length_proves_nothing(tmp_path: Path) -> None:
    outcomes = list(streams(tmp_path))
    assert wrong(outcomes) == []
    assert {outcome.verdict.reason for outcome in outcomes} <= {
        "no Content-Length",
        "a stream without a length",
    }
