"""No reader reads another value than the experiment held, unless it was said."""

import pytest

from fidelity.corpus import CORPUS
from fidelity.made_up import made_up
from fidelity.measure import measure
from fidelity.subjects import SUBJECTS, Subject
from fidelity.table import PAGE, row, table_row
from fidelity.tables import READERS, TableReader
from fidelity.tables import measure as measure_table

MADE_UP = made_up(number=1, size=60)


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_reader_reads_the_same_or_was_warned_or_there_is_no_file(
    subject: Subject,
) -> None:
    tallies = measure(subject, CORPUS)

    assert {name: tally.different for name, tally in tallies.items()} == {
        name: [] for name in tallies
    }
    # Nor is anything refused or warned of that was read back when the page was written.
    rows = {row(subject, name, tally) for name, tally in tallies.items()}
    assert rows <= set(PAGE.read_text(encoding="utf-8").splitlines(keepends=True))


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_every_cell_of_a_table_is_the_same_or_was_warned_of(
    reader: TableReader,
) -> None:
    tally = measure_table(reader, CORPUS)

    assert tally.different == []
    page = PAGE.read_text(encoding="utf-8").splitlines(keepends=True)
    assert table_row(reader, tally) in page


@pytest.mark.sampled(3)
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_what_is_made_up_is_the_same_or_was_warned_of(subject: Subject) -> None:
    for name, tally in measure(subject, MADE_UP).items():
        assert tally.different == [], name


@pytest.mark.sampled(3)
@pytest.mark.parametrize("reader", READERS, ids=str)
def test_every_cell_that_is_made_up_is_the_same_or_was_warned_of(
    reader: TableReader,
) -> None:
    assert measure_table(reader, MADE_UP).different == []


def test_there_are_enough_configs_to_trust_the_page() -> None:
    assert len(CORPUS) >= 150
