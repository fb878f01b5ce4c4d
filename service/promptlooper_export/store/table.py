"""The columns that tables of runs have: those of every run, on each page the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from promptlooper_export.configs import JSON, leaf_columns
from promptlooper_export.errors import InvalidConfigError, TableTooWideError
from promptlooper_export.redaction import redact_config, redact_path
from promptlooper_export.runs import Columns, ValueKind
from promptlooper_export.store.aggregate import sources
from promptlooper_export.store.best import decode_config
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.columns import FINITE
from promptlooper_export.store.connection import Row, Session
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

_BATCH = 200
_CHARACTERS = 4 << 20
"""Configs that are looked at together, and how long they are at most."""

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


def read_columns(
    session: Session, catalog: Catalog, row: ExperimentRow, *, redacted: bool
) -> Columns:
    """Return the columns that tables of all runs have.

    If they are `redacted`, the configs of the runs will be: keys that become equal get
    numbers, and only a config tells which. Raises TableTooWideError as soon as there
    are too many.
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
        rows = session.stream(_CONFIGS.format(**names), *values)
        for configs in _batches(rows):
            found = [*leaf_columns(enumerate(configs))]
            paths = {path for path, *_ in found}
            if redacted and _has_secret_keys(paths - kinds.keys()):
                found = [*leaf_columns(enumerate(map(redact_config, configs)))]
            for path, _, column in found:
                if path not in kinds:
                    width.add(path)
                kinds[path].update(_kinds(column))
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(scorers)),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )


def _has_secret_keys(paths: Iterable[str]) -> bool:
    """Return whether redaction alters one of the paths; known columns have no secret.

    Redacting every config would take a quarter of the time of an export.
    """
    return any(redact_path(path) != path for path in paths)


def require_width(names: Iterable[str]) -> None:
    """Raise TableTooWideError if a table cannot have columns with all these names."""
    width = _Width()
    for name in names:
        width.add(name)


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


def _batches(rows: Iterator[Row]) -> Iterator[list[Mapping[str, JSON]]]:
    """Yield configs, some at a time."""
    batch: list[Mapping[str, JSON]] = []
    characters = 0
    for key, text in rows:
        batch.append(_config(key, text))
        characters += len(text or "")
        if len(batch) == _BATCH or characters > _CHARACTERS:
            yield batch
            batch, characters = [], 0
    yield batch


def _config(key: object, text: str | None) -> Mapping[str, JSON]:
    try:
        return decode_config(text, row_id(key, "runs"))[0]
    except InvalidConfigError:
        # Each row warns when it is read as a run, so nothing is said here.
        return {}


def columns_size(columns: Columns) -> int:
    """Return about how many bytes of memory the columns take."""
    return sum(_PER_COLUMN + 2 * len(path) for path in columns.config)


def _kinds(column: Sequence[JSON]) -> set[ValueKind]:
    """Return the kinds of the values in a column."""
    types = set(map(type, column))
    found = {kind for type_, kind in _KINDS.items() if type_ in types}
    if int in types:
        found |= {_size(value) for value in column if type(value) is int}
    return found


def _size(value: int) -> ValueKind:
    size = abs(value)
    return "integer" if size <= _EXACT else "long" if size < _LONG else "big"


_KINDS: Mapping[type, ValueKind] = {
    type(None): "null",
    bool: "boolean",
    str: "text",
    float: "number",
    list: "json",
    dict: "json",
}
