"""Clones of a PostgreSQL database, emptied after a test and lent to the next one.

To empty one takes a fraction of the time that it takes to make one. One whose schema a
test has changed is thrown away.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from postgres import Cluster

# The record of migrations is part of the schema: it is compared, not emptied.
RECORD = "promptlooper_export.migrations"

NAMESPACES = "SELECT oid FROM pg_namespace WHERE nspname ~ '^(public|promptlooper_.*)$'"

# Deleting few rows is quicker than TRUNCATE, which makes new files; without triggers.
EMPTY = f"""
SET session_replication_role = replica;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class
        WHERE relkind = 'r' AND relnamespace IN ({NAMESPACES})
        AND oid <> '{RECORD}'::regclass
    LOOP
        EXECUTE format('DELETE FROM %s', name);
    END LOOP;
    FOR name IN SELECT oid::regclass FROM pg_class
        WHERE relkind = 'S' AND relnamespace IN ({NAMESPACES})
    LOOP
        EXECUTE format('ALTER SEQUENCE %s RESTART', name);
    END LOOP;
END
$$
"""

SCHEMA = f"""
SELECT md5(concat(
    (SELECT string_agg(relation::text, ' ' ORDER BY relation.oid) FROM (
        SELECT oid, relname, relkind, relnatts, reloptions FROM pg_class
        WHERE relnamespace IN ({NAMESPACES})
    ) AS relation),
    (SELECT string_agg(col::text, ' ' ORDER BY attrelid, attnum) FROM (
        SELECT attrelid, attnum, attname, atttypid, attnotnull, atthasdef
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace IN ({NAMESPACES})
    ) AS col),
    (SELECT string_agg(trigger::text, ' ' ORDER BY trigger.oid) FROM (
        SELECT oid, tgrelid, tgname, tgfoid, tgenabled, tgtype FROM pg_trigger
    ) AS trigger),
    (SELECT string_agg(function::text, ' ' ORDER BY function.oid) FROM (
        SELECT oid, proname, prosrc, proconfig FROM pg_proc
        WHERE pronamespace IN ({NAMESPACES})
    ) AS function),
    (SELECT string_agg(restriction::text, ' ' ORDER BY restriction.oid) FROM (
        SELECT oid, conname, conrelid FROM pg_constraint
        WHERE connamespace IN ({NAMESPACES})
    ) AS restriction),
    (SELECT string_agg(setting::text, ' ') FROM (
        SELECT setconfig FROM pg_db_role_setting
    ) AS setting),
    (SELECT string_agg(record::text, ' ') FROM {RECORD} AS record)
))
"""

OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Clones:
    """Clones of one template; close() drops them."""

    def __init__(self, cluster: Cluster, template: str) -> None:
        self._cluster = cluster
        self._template = template
        self._free: list[tuple[str, str]] = []
        self._made = ExitStack()

    @contextmanager
    def one(self) -> Iterator[str]:
        """Lend the URL of an empty clone."""
        url, schema = self._free.pop() if self._free else self._make()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(OTHERS)
            if _schema(connection) == schema:
                connection.execute(EMPTY.encode())
                self._free.append((url, schema))

    def close(self) -> None:
        """Drop every clone."""
        self._made.close()

    def _make(self) -> tuple[str, str]:
        name = self._made.enter_context(self._cluster.database(self._template))
        url = self._cluster.url(name)
        with psycopg.connect(url, autocommit=True) as connection:
            return url, _schema(connection)


def _schema(connection: psycopg.Connection) -> str:
    """Return a digest of what a migration makes; of a broken record, nothing."""
    try:
        row = connection.execute(SCHEMA.encode()).fetchone()
    except psycopg.Error:
        return ""
    return str(row[0]) if row else ""
