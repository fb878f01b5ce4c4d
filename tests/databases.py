"""A test's own database, asked in the same words whichever kind it is."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from promptlooper_export.records import ExperimentRecord
from promptlooper_export.store.writer import Written, write

Kind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database that goes away with the test."""

    kind: Kind
    url: str

    @property
    def grants(self) -> str:
        """The table of grants, inside a database that has them."""
        is_sqlite = self.kind == "sqlite"
        return "export_grants" if is_sqlite else "promptlooper_export.grants"

    @property
    def revoked_tokens(self) -> str:
        """The table of revoked tokens, inside a database that has them."""
        is_sqlite = self.kind == "sqlite"
        return (
            "export_revoked_tokens"
            if is_sqlite
            else "promptlooper_export.revoked_tokens"
        )

    def load(self, *experiments: ExperimentRecord) -> Written:
        """Write experiments with their runs, as an import does."""
        return write(self.url, iter(experiments))

    def replace(self, *experiments: ExperimentRecord) -> Written:
        """Let experiments take the place of those that have their names."""
        return write(self.url, iter(experiments), replace=True)

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement on a connection of its own, committed; return its rows.

        Placeholders are question marks. UUIDs and times are bound as the runner stores
        them in this kind of database.
        """
        if self.kind == "sqlite":
            return _sqlite(self.url.removeprefix("sqlite:///"), sql, parameters)
        return _postgresql(self.url, sql, parameters)


def _sqlite(path: str, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(
            sql, [_text(value) for value in parameters]
        ).fetchall()


def _text(value: object) -> object:
    if isinstance(value, UUID):
        return value.hex
    return value.isoformat(" ") if isinstance(value, datetime) else value


def _postgresql(
    url: str, sql: str, parameters: Sequence[object]
) -> list[tuple[Any, ...]]:
    if parameters:
        sql = sql.replace("%", "%%").replace("?", "%s")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []
