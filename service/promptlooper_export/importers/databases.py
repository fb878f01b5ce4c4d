"""Databases of other tools: an SQLite file or a PostgreSQL URL, read and never written.

`store` reads the service's own tables for many at a time and keeps connections open. A
foreign database is read once, and its writer must not notice: SQLite is read from a
copy, since a reader holds up the commits of a study that still runs, and PostgreSQL in
one read-only transaction.
"""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import quote, urlsplit

from promptlooper_export.errors import SourceError

if TYPE_CHECKING:
    import psycopg

Row: TypeAlias = tuple[Any, ...]

_HEADER = b"SQLite format 3\x00"
_PAGE_SIZE, _VERSIONS = slice(16, 18), slice(18, 20)
"""The bytes of a header that say how long a page is, and whether there is a WAL."""

_LARGEST_PAGE = 1 << 16
"""In bytes; written as 1."""

_DRIVER = re.compile(r"^(sqlite|postgresql|postgres)\+\w+:")
"""A URL as SQLAlchemy has it names a driver, which is the other tool's business."""

_COLUMNS = {
    "sqlite": """
SELECT tables.name, columns.name
FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table'
""",
    "postgresql": """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = ANY (current_schemas(false))
""",
}

_TOGETHER = 2_000
"""How many rows PostgreSQL sends together."""


class Database(Protocol):
    """A foreign database while it is open; `name` is for messages."""

    @property
    def name(self) -> str:
        """Return what people know it by, without a password."""

    @property
    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of each table."""

    def rows(self, sql: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a statement, however many, in constant memory.

        Placeholders are question marks. Raises SourceError at any row.
        """


class Parts:
    """The rows of one table, handed out to the rows of another that own them.

    The first column is the owner. Both tables are read in the same order.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        """Take the rows; none is read before the first owner asks."""
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, owner: object) -> list[Row]:
        """Return the rows of the owner."""
        if self._next is None or self._next[0] != owner:
            return []
        found = list(self._next[1])
        self._next = next(self._groups, None)
        return found


def is_database(source: str) -> bool:
    """Return whether the source is a URL or an SQLite file."""
    if _url(source) is not None:
        return True
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def holds(source: str, tables: Iterable[str]) -> bool:
    """Return whether the source is a database with these tables."""
    return is_database(source) and columns_of(source).keys() >= set(tables)


def columns_of(source: str) -> Mapping[str, frozenset[str]]:
    """Return the columns of each table of a database. Raises SourceError."""
    url = _url(source)
    if url is not None and not _is_sqlite(url):
        with _postgresql(url) as database:
            return database.columns
    path = _path(source)
    with _sqlite_errors(str(path)):
        found = path.stat()
        return _columns_of(path, found.st_ino, found.st_size, found.st_mtime_ns)


def revision_of(database: Database) -> str | None:
    """Return the revision of tables that Alembic keeps; None if it does not."""
    if "alembic_version" not in database.columns:
        return None
    rows = database.rows("SELECT version_num FROM alembic_version")
    return next((str(revision) for (revision,) in rows), None)


@contextmanager
def opened(source: str) -> Iterator[Database]:
    """Open a file or URL to read it as it is at one moment, and look for damage first.

    Raises SourceError.
    """
    url = _url(source)
    if url is not None and not _is_sqlite(url):
        with _postgresql(url) as database:
            yield database
        return
    path = _path(source)
    with _sqlite_errors(str(path)), _copied(path) as connection:
        sqlite = Sqlite(str(path), connection)
        sqlite.check()
        yield sqlite


@contextmanager
def scratch(name: str, schema: str) -> Iterator["Sqlite"]:
    """Make an empty database on disk that goes away with the block.

    For files that do not hold their rows in an order in which they can be read. `name`
    is the source that the rows come from.
    """
    with closing(sqlite3.connect("")) as connection:
        connection.executescript(schema)
        yield Sqlite(name, connection)


class Sqlite:
    """An SQLite database that nobody else has open."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self.name = name
        self._connection = connection

    @property
    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of each table."""
        return _grouped(self.rows(_COLUMNS["sqlite"]))

    def rows(self, sql: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a statement."""
        with _sqlite_errors(self.name):
            # Not from the cursor itself: what is not read to its end would close it,
            # which fails after the connection.
            yield from map(tuple, self._connection.execute(sql, values))

    def add(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement with each of the rows."""
        with _sqlite_errors(self.name):
            self._connection.executemany(sql, rows)

    def check(self) -> None:
        """Raise SourceError if pages, indexes and rows do not fit together."""
        ((said,),) = self.rows("PRAGMA integrity_check(1)")
        if said != "ok":
            msg = f"{self.name}: the database file is damaged: {said.splitlines()[-1]}"
            raise SourceError(msg)


class _Postgresql:
    def __init__(self, name: str, connection: "psycopg.Connection[Row]") -> None:
        self.name = name
        self._connection = connection
        self._streams = 0

    @property
    def columns(self) -> Mapping[str, frozenset[str]]:
        return _grouped(self.rows(_COLUMNS["postgresql"]))

    def rows(self, sql: str, *values: object) -> Iterator[Row]:
        self._streams += 1
        # A cursor of the server's: without, all rows would be fetched before the first.
        with (
            _postgresql_errors(self.name),
            self._connection.cursor(name=f"rows_{self._streams}") as cursor,
        ):
            cursor.itersize = _TOGETHER
            marked = sql.replace("%", "%%").replace("?", "%s")
            yield from cursor.execute(marked.encode(), values)


@contextmanager
def _postgresql(url: str) -> Iterator[Database]:
    try:
        import psycopg  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        msg = (
            f"{without_password(url)}: run: pip install 'promptlooper-export[postgres]'"
        )
        raise SourceError(msg) from error
    name = without_password(url)
    with (
        _postgresql_errors(name),
        psycopg.connect(url, connect_timeout=10) as connection,
    ):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield _Postgresql(name, connection)


def _url(source: str) -> str | None:
    """Return a database's URL without SQLAlchemy's driver; None for a file."""
    url = _DRIVER.sub(r"\1:", source)
    is_url = url.startswith(("sqlite:///", "postgresql://", "postgres://"))
    return url if is_url else None


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def _path(source: str) -> Path:
    """Return the file of an SQLite database that is named by its URL or its path."""
    url = _url(source)
    return Path(source if url is None else url.removeprefix("sqlite:///"))


# Every importer of databases asks for the same file, one after another.
@lru_cache(maxsize=1)
def _columns_of(path: Path, *_state: int) -> Mapping[str, frozenset[str]]:
    """Return the columns of each table, from the file itself if that leaves no trace.

    So short a look holds nobody up. A file in WAL mode that nobody has open is copied,
    since the look would make the two files beside it.
    """
    header = _header(path)
    # One with a journal may have to be restored first, which takes writing.
    is_copied = _is_at_rest(path, header) or Path(f"{path}-journal").exists()
    with _copied(path) if is_copied else closing(_reading(path)) as connection:
        return Sqlite(str(path), connection).columns


@contextmanager
def _copied(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the file that goes away with the block."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        _copy(path, copy)
        with closing(sqlite3.connect(copy)) as connection:
            yield connection


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def without_password(url: str) -> str:
    """Return the URL without its password and options."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{place}{parts.path}"


def _copy(path: Path, copy: Path) -> None:
    """Copy an SQLite file as it is at one moment, without leaving a trace beside it."""
    header = _header(path)
    size = int.from_bytes(header[_PAGE_SIZE], "big")
    # SQLite itself takes what is missing of a page for zeros.
    if path.stat().st_size % (_LARGEST_PAGE if size == 1 else size or 1):
        msg = f"{path}: the database file is damaged: it ends within a page"
        raise SourceError(msg)
    if _is_at_rest(path, header):
        shutil.copyfile(path, copy)
        log = Path(f"{path}-wal")
        if log.exists():
            shutil.copyfile(log, f"{copy}-wal")
        return
    try:
        _back_up(path, copy)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        # A tool that was killed left a journal, by which the copy is restored when it
        # is opened.
        shutil.copyfile(path, copy)
        shutil.copyfile(f"{path}-journal", f"{copy}-journal")


def _back_up(path: Path, copy: Path) -> None:
    with closing(_reading(path)) as file, closing(sqlite3.connect(copy)) as target:
        file.backup(target)


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_VERSIONS.stop)


def _is_at_rest(path: Path, header: bytes) -> bool:
    """Return whether the file is in WAL mode and nobody has it open.

    In that mode, a reader needs the two files beside it. If nobody has made them, the
    database may be copied as any file.
    """
    return header[_VERSIONS] == b"\x02\x02" and not Path(f"{path}-shm").exists()


def _grouped(rows: Iterator[Row]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return {table: frozenset(columns) for table, columns in found.items()}


@contextmanager
def _sqlite_errors(name: str) -> Iterator[None]:
    try:
        yield
    # The last one for names of tables and columns that are not UTF-8.
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        msg = f"{name}: cannot be read as an SQLite database: {error}"
        raise SourceError(msg) from error


@contextmanager
def _postgresql_errors(name: str) -> Iterator[None]:
    import psycopg  # noqa: PLC0415  an extra

    try:
        yield
    except psycopg.Error as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        msg = f"{name}: cannot be read: {why}"
        raise SourceError(msg) from error
