"""Our own Parquet export, which holds all that the interchange file does."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import StageResult
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import Importer
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_MAGIC = b"PAR1"
_EXPERIMENT = b"promptlooper.experiment"
_BATCH = 2_000
_COLUMNS = [
    "run_id", "name", "status", "config", "config_hash", "tokens_in", "tokens_out",
    "duration_ms", "cost_usd", "error", "tags", "created_at", "started_at",
    "finished_at", "updated_at", "stage_results", "judgements",
]  # fmt: skip


def read(source: str) -> Records:
    """Yield the experiment of a file. Raises SourceError for what we did not write."""
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
        yield _experiment(json.loads(line), file)


def _experiment(line: Mapping[str, Any], file: "ParquetFile") -> ExperimentRecord:
    created_at = datetime.fromisoformat(line["created_at"])
    return ExperimentRecord(
        id=UUID(line["id"]),
        name=line["name"],
        description=line["description"],
        status=line["status"],
        parameter_space=line["parameter_space"],
        scoring_config=line["scoring_config"],
        created_at=created_at,
        updated_at=datetime.fromisoformat(line["updated_at"] or line["created_at"]),
        runs=_runs(file),
    )


def _runs(file: "ParquetFile") -> Iterator[RunRecord]:
    for batch in file.iter_batches(_BATCH, columns=_COLUMNS):
        for row in batch.to_pylist():
            row["id"] = UUID(row.pop("run_id"))
            row["config"] = row["config"] or "null"
            row["tags"] = _json(row["tags"])
            row["scores"] = {
                scorer: tuple(judged) for scorer, judged in row.pop("judgements")
            }
            stages = row["stage_results"]
            row["stage_results"] = tuple(StageResult(**stage) for stage in stages)
            yield RunRecord(**row)


def _json(text: str | None) -> JSON:
    return None if text is None else json.loads(text)


def recognises(source: str) -> bool:
    """Return whether the first bytes are those of a Parquet file."""
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


PARQUET = Importer(title="Parquet export", recognises=recognises, read=read)
