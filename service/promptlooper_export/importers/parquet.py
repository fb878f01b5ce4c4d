"""Our own Parquet export, which holds what the interchange file does, without cases.

Each row becomes the line that the interchange file has for it, so that the same values
are accepted and refused.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlooper_export.configs import strict_value
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import Importer, OnUnknown, hint, refuse
from promptlooper_export.importers.interchange import records
from promptlooper_export.importers.lines import Line, Member, parse
from promptlooper_export.records import Records

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_MAGIC = b"PAR1"
_EXPERIMENT = b"promptlooper.experiment"
_BATCH = 2_000

# A column and the member that it is in the interchange file.
_MEMBERS = {
    "run_id": "id", "name": "name", "status": "status", "config": "config",
    "config_hash": "config_hash", "tokens_in": "tokens_in", "tokens_out": "tokens_out",
    "duration_ms": "duration_ms", "cost_usd": "cost_usd", "error": "error",
    "tags": "tags", "created_at": "created_at", "started_at": "started_at",
    "finished_at": "finished_at", "updated_at": "updated_at",
    "stage_results": "stage_results", "judgements": "scores",
}  # fmt: skip

# Columns that repeat for people's sake what others hold.
_DERIVED = ("weighted_score", "rank")
_WIDENED = ("config.", "scores.")


def read(source: str, unknown: OnUnknown = refuse) -> Records:
    """Yield the experiment of a file. Raises SourceError for what we did not write.

    `unknown` is called for each column that is not one of an export.
    """
    try:
        from pyarrow import ArrowException  # noqa: PLC0415  an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ModuleNotFoundError as error:
        msg = f"{source}: run: pip install 'promptlooper-export[parquet]'"
        raise SourceError(msg) from error
    try:
        file = ParquetFile(source)
    except ArrowException as error:
        msg = f"{source}: not a Parquet file, or not whole: {error}"
        raise SourceError(msg) from error
    with file:
        line = (file.schema_arrow.metadata or {}).get(_EXPERIMENT)
        if line is None:
            msg = f"{source}: not an export of this service: it names no experiment"
            raise SourceError(msg)
        for name in file.schema_arrow.names:
            if not (name in _MEMBERS or name in _DERIVED or name.startswith(_WIDENED)):
                unknown(source, name, hint(name, {own: own for own in _MEMBERS}))
        yield from records(_lines(source, line, file), source=source, unknown=unknown)


def _lines(source: str, experiment: bytes, file: "ParquetFile") -> Iterator[Line]:
    yield parse(experiment, f"{source}: the experiment")
    for number, row in enumerate(_rows(source, file), start=1):
        yield _line(f"{source}: run {number}", row)


def _rows(source: str, file: "ParquetFile") -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException  # noqa: PLC0415  an extra

    batches = file.iter_batches(_BATCH, columns=list(_MEMBERS))
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        # Damaged pages, text that is not UTF-8, times that Python has no value for.
        except (ArrowException, OSError, OverflowError, ValueError) as error:
            msg = f"{source}: cannot be read: {str(error).splitlines()[0]}"
            raise SourceError(msg) from error
        yield from rows


def _line(place: str, row: Mapping[str, Any]) -> Line:
    members = {"type": Member(value="run", text="")}
    for column, value in row.items():
        if column in {"config", "tags"}:
            members[column] = _json(place, column, value)
        elif value is not None:
            name = _MEMBERS[column]
            members[name] = Member(value=_plain(column, value), text="")
    return Line(place=place, members=members)


def _json(place: str, column: str, value: object) -> Member:
    """Read a column of JSON text; null stands for null."""
    text = "null" if value is None else value
    if not isinstance(text, str):
        msg = f"{place}: {column}: must be JSON as text"
        raise SourceError(msg)
    try:
        value, end = strict_value(text, 0)
    except (ValueError, RecursionError) as error:
        msg = f"{place}: {column}: not valid JSON: {error}"
        raise SourceError(msg) from error
    if end < len(text):
        msg = f"{place}: {column}: not valid JSON: there is more after its end"
        raise SourceError(msg)
    return Member(value=value, text=text)


def _plain(column: str, value: Any) -> Any:  # noqa: ANN401
    """Return a value as JSON would give it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if column == "judgements" and _is_map(value):
        return dict(value)
    return value


def _is_map(value: object) -> bool:
    """Return whether the value is a map, which pyarrow gives as a list of pairs."""
    return isinstance(value, list) and all(
        isinstance(pair, tuple) and isinstance(pair[0], str) for pair in value
    )


def recognises(source: str) -> bool:
    """Return whether the first bytes are those of a Parquet file."""
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


PARQUET = Importer(
    title="Parquet export", recognises=recognises, read=read, read_leniently=read
)
