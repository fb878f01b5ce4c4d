"""The columns that tables of runs have: those of every run, on each page the same."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from promptlooper_export.configs import JSON, leaves
from promptlooper_export.errors import InvalidConfigError, TableTooWideError
from promptlooper_export.runs import Columns, ValueKind
from promptlooper_export.store.aggregate import sources
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.columns import FINITE
from promptlooper_export.store.connection import Session
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.refusals import refusals
from promptlooper_export.store.rows import label, row_id

MOST_COLUMNS = 10_000
"""Columns of configs and scorers together.

Measured with 2,000 runs, Parquet then takes 151 MB beside the service's own memory and
Arrow 55 MB; without a bound, 200 runs with 200,000 columns took Parquet 1.7 GB.
"""

LONGEST_NAMES = 1 << 20
"""Characters of the names of these columns together."""

_PER_COLUMN = 300
# Up to 2^53 a reader whose numbers are doubles loses no digit.
_EXACT = 1 << 53
_LONG = 1 << 63

_CONFIGS = "SELECT id, config FROM {runs} AS run WHERE experiment_id {experiment}"

_SCORERS = f"""
SELECT DISTINCT scorer_name
FROM {{runs}} AS run JOIN {{scores}} AS score ON {{same_run}}
WHERE experiment_id {{experiment}} AND value {FINITE}
"""


def read_columns(session: Session, catalog: Catalog, row: ExperimentRow) -> Columns:
    """Return the columns that tables of all runs have.

    Raises TableTooWideError as soon as there are too many.
    """
    names, values = sources(session, catalog, row.experiment.id)
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    scorers: set[str] = set()
    width = _Width()
    with refusals():
        for (name,) in session.stream(_SCORERS.format(**names), *values):
            scorer = label(name)
            if scorer not in scorers:
                width.add(scorer)
                scorers.add(scorer)
        configs = session.stream(_CONFIGS.format(**names), *values)
        for path, value in chain.from_iterable(map(_leaves, configs)):
            if path not in kinds:
                width.add(path)
            kinds[path].add(_kind(value))
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(scorers)),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )


class _Width:
    """How wide the table is so far."""

    def __init__(self) -> None:
        self._columns = 0
        self._characters = 0

    def add(self, name: str) -> None:
        """Count a column. Raises TableTooWideError for one too many."""
        self._columns += 1
        self._characters += len(name)
        if self._columns > MOST_COLUMNS or self._characters > LONGEST_NAMES:
            detail = (
                "The runs have too many different keys or scorers for a table, which "
                f"has at most {MOST_COLUMNS:,} columns for them, with names of "
                f"{LONGEST_NAMES:,} characters together; choose format=ndjson."
            )
            raise TableTooWideError(
                detail, columns=MOST_COLUMNS, characters=LONGEST_NAMES
            )


def _leaves(row: tuple[object, str | None]) -> Iterator[tuple[str, JSON]]:
    key, text = row
    try:
        config, _ = decode_config(text, row_id(key, "runs"))
    except InvalidConfigError:
        # Each row warns when it is read as a run, so nothing is said here.
        return iter(())
    return leaves(config)


def columns_size(columns: Columns) -> int:
    """Return about how many bytes of memory the columns take."""
    return sum(_PER_COLUMN + 2 * len(path) for path in columns.config)


def _kind(value: JSON) -> ValueKind:
    match value:
        case None:
            return "null"
        case bool():  # before int, of which it is a subclass
            return "boolean"
        case str():
            return "text"
        case float():
            return "number"
        case int():
            size = abs(value)
            return "integer" if size <= _EXACT else "long" if size < _LONG else "big"
    return "json"
