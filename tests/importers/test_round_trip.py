"""The interchange file that we write, imported again."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.export import Limits, Selection, export
from promptlooper_export.importers.interchange import read
from promptlooper_export.records import ExperimentRecord
from promptlooper_export.registry import discover
from promptlooper_export.runs import StageResult
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
            cases={"a": ("one", None, "\u2028 =two"), "b": ("one",)},
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
    with body:
        return body.file.read()


@pytest.fixture(scope="module")
def record(database_of_module: Database) -> ExperimentRecord:
    """Load the experiment and return it, its runs spent."""
    record = nasty()
    database_of_module.load(record)
    return record


@pytest.fixture(scope="module")
def store(database_of_module: Database) -> Iterator[Store]:
    """Open the database."""
    with opened(database_of_module.url) as store:
        yield store


@pytest.fixture(scope="module")
def again(
    request: pytest.FixtureRequest,
    database_of_module: Database,
    store: Store,
    record: ExperimentRecord,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """Open another database, of the same kind, that the exported file was written to.

    SQLite holds no NaN, PostgreSQL does.
    """
    folder = tmp_path_factory.mktemp("again")
    file = folder / "file.ndjson"
    file.write_bytes(exported(store, record, "ndjson", header=True))
    with ExitStack() as lent:
        if database_of_module.kind == "sqlite":
            url = f"sqlite:///{folder / 'again.db'}"
            migrate(url, create=True)
        else:
            url = lent.enter_context(request.getfixturevalue("clones").one())
        write(url, read(str(file)))
        yield lent.enter_context(opened(url))


@pytest.mark.parametrize("name", sorted(discover().formats))
def test_every_export_of_what_is_imported_again_has_the_same_bytes(
    store: Store, again: Store, record: ExperimentRecord, name: str
) -> None:
    assert exported(again, record, name) == exported(store, record, name)


def test_what_is_imported_again_gives_the_same_file(
    store: Store, again: Store, record: ExperimentRecord
) -> None:
    file = exported(store, record, "ndjson", header=True)

    assert exported(again, record, "ndjson", header=True) == file
