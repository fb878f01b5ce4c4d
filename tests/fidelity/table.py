"""The table of what every reader reads back, as a page of the documentation."""

from collections.abc import Iterator
from pathlib import Path

from fidelity.corpus import CORPUS
from fidelity.measure import measure
from fidelity.subjects import SUBJECTS, Subject
from fidelity.tables import READERS, TableReader
from fidelity.tables import measure as measure_table
from fidelity.verdicts import Tally

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"

_HEAD = f"""# What readers read back

There are {len(CORPUS)} test configs; each is known to trip up some reader somewhere.
Every config is exported in each format and read back by real readers. The result is
*identical* to the last bit, *warned of* (a warning for this reader names the value),
*refused* by the export with the path, or *different*, which never happens.
`make fidelity` measures again and writes this page.

| format | reader | identical | warned of | refused | different |
| --- | --- | --- | --- | --- | --- |
"""


def row(subject: Subject, reader: str, tally: Tally) -> str:
    """Return the row of one reader of a format."""
    counts = (tally.identical, tally.warned, tally.refused, len(tally.different))
    return f"| {subject} | {reader} | {' | '.join(map(str, counts))} |\n"


def rows(subject: Subject) -> Iterator[str]:
    """Measure a format with every reader."""
    for reader, tally in measure(subject, CORPUS).items():
        yield row(subject, reader, tally)


def table_row(reader: TableReader, tally: Tally) -> str:
    """Return the row of a reader of a table of runs."""
    counts = (tally.identical, tally.warned, tally.refused, len(tally.different))
    return f"| {reader.format} | {reader.name} | {' | '.join(map(str, counts))} |\n"


def page() -> str:
    """Measure everything, and return the page."""
    return "".join(
        (
            _HEAD,
            *(line for subject in SUBJECTS for line in rows(subject)),
            *(table_row(reader, measure_table(reader, CORPUS)) for reader in READERS),
        )
    )
