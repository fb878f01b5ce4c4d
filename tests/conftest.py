"""Fixtures: a database of each kind for every test that asks for one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast
from zlib import crc32

import pytest
from hypothesis import settings

import builders
import runner_schema
from clones import Clones
from databases import Database, Kind
from postgres import Cluster, running_cluster
from promptlooper_export.store.migrate import migrate

KINDS = ["sqlite", "postgresql"]


settings.register_profile("short", max_examples=25)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let all cases be asked for: see the marker `sampled`."""
    parser.addoption(
        "--all-cases", action="store_true", help="run every case of sampled tests"
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out most cases of the tests that have very many of one kind."""
    # A test that is named is meant.
    if config.getoption("all_cases") or any("::" in name for name in config.args):
        return
    left = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left)
    unwanted = set(left)
    items[:] = [item for item in items if item not in unwanted]


def _is_left_out(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("sampled")
    if marker is None:
        return False
    (one_in,) = marker.args
    # The same cases in every worker and in every run, spread over all kinds.
    return crc32(item.nodeid.encode()) % int(one_in) != 0


def pytest_configure(config: pytest.Config) -> None:
    """Make up few examples for each property, unless a profile asks for more."""
    if not config.getoption("hypothesis_profile"):
        settings.load_profile("short")


@pytest.fixture(autouse=True)
def _every_test_begins_alike() -> Iterator[None]:
    builders.restart()
    yield
    # A service keeps its temporary files where it was told, and the process with it.
    tempfile.tempdir = None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run the one PostgreSQL cluster of the session."""
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def migrated_postgresql(cluster: Cluster) -> Iterator[str]:
    """Return the name of a migrated database, to be cloned."""
    with cluster.database() as name:
        migrate(cluster.url(name), create=True)
        yield name


@pytest.fixture(scope="session")
def clones(cluster: Cluster, migrated_postgresql: str) -> Iterator[Clones]:
    """Lend clones of the migrated database, which are emptied and lent again."""
    with closing(Clones(cluster, migrated_postgresql)) as lent:
        yield lent


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    migrate(f"sqlite:///{path}", create=True)
    return path


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a migrated database without rows, of each kind in turn."""
    with _migrated(request, tmp_path) as database:
        yield database


@pytest.fixture(scope="module", params=KINDS)
def database_of_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Give the same to all tests of a module, for rows that no test changes."""
    with _migrated(request, tmp_path_factory.mktemp("database")) as database:
        yield database


@pytest.fixture(params=KINDS)
def empty_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Database]:
    """Give a database without any table, of each kind in turn."""
    with _empty(request, tmp_path / "empty.db") as database:
        yield database


@pytest.fixture(params=KINDS)
def runner_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Database]:
    """Give a database as the runner makes it, never migrated, of each kind in turn."""
    with _empty(request, tmp_path / "runner.db") as database:
        if database.kind == "sqlite":
            database.execute("PRAGMA journal_mode = WAL")
        for statement in runner_schema.statements(database.kind):
            database.execute(statement)
        yield database


@contextmanager
def _migrated(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = folder / "migrated.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield Database(kind="sqlite", url=f"sqlite:///{path}")
    else:
        clones: Clones = request.getfixturevalue("clones")
        with clones.one() as url:
            yield Database(kind="postgresql", url=url)


@contextmanager
def _empty(request: pytest.FixtureRequest, path: Path) -> Iterator[Database]:
    kind = cast("Kind", request.param)
    if kind == "sqlite":
        path.touch()  # to SQLite, a file of no bytes is a database
        yield Database(kind=kind, url=f"sqlite:///{path}")
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        with cluster.database() as name:
            yield Database(kind=kind, url=cluster.url(name))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in CI that skipped a test: there, everything must have run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or exitstatus != pytest.ExitCode.OK:
        return
    if reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("\nFailed: in CI, no test may be skipped.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
