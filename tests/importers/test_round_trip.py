"""The interchange file that we write, imported again."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.documents import StageResult
from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.importers.interchange import read
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.registry import discover
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.store.writer import write
from promptlooper_export.viewer import OPERATOR


def nasty() -> ExperimentRecord:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
    stage = StageResult(
        stage_name="draft", output="a\n\u2028b", tokens_in=1, tokens_out=None,
        duration_ms=2,
    )  # fmt: skip
    return experiment(
        run(
            {"a": [0.1, 0.2, 0.7], "b": 1e-300},
            text='{"x": 1.0, "y": 12345678901234567890, "z": -0.0, "é": ["\\ud800"]}',
            name='="name"',
            tags={"t": [1, None]},
            stage_results=(stage, stage),
            cost_usd=0.1,
            tokens_in=2**60,
            started_at=moment,
            finished_at=moment,
            updated_at=moment,
        ),
        run({"a": [math.nan, 0.5, None], "b": [math.inf], "c": -math.inf}),
        run(status="failed", error="no\r\nanswer"),
        run({"b": 0.25}, status="pruned"),
        weights={"a": 2, "b": 0.5},
        directions={"b": "minimize"},
        name='nasty \U0001f600 \\ "name"',
        description="",
        parameter_space={"x": {"min": 0, "max": 1.5}},
    )


@pytest.fixture
def again(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> Iterator[Database]:
    """Give another database of the same kind: SQLite holds no NaN, PostgreSQL does."""
    if database.kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'again.db'}"
        migrate(url, create=True)
        yield replace(database, url=url)
    else:
        with request.getfixturevalue("clones").one() as url:
            yield replace(database, url=url)


@contextmanager
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        yield store


def exported(
    store: Store, record: ExperimentRecord, name: str, **options: object
) -> bytes:
    body = export(
        store,
        OPERATOR,
        record.id,
        discover().formats[name],
        options,
        selection=Selection(reproducible=True),
        limits=Limits(spool_bytes=1 << 30),
    )
    with body.file:
        return body.file.read()


@pytest.mark.parametrize("name", sorted(discover().formats))
def test_every_export_of_what_is_imported_again_has_the_same_bytes(
    database: Database, again: Database, tmp_path: Path, name: str
) -> None:
    record = nasty()
    database.load(record)
    file = tmp_path / "file.ndjson"
    with opened(database.url) as store:
        file.write_bytes(exported(store, record, "ndjson", header=True))
        before = exported(store, record, name)
    write(again.url, read(str(file)))

    with opened(again.url) as store:
        assert exported(store, record, name) == before
        assert exported(store, record, "ndjson", header=True) == file.read_bytes()
