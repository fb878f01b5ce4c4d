"""Optuna's studies: storages in SQLite and PostgreSQL, journals, tables of trials."""

from promptlooper_export.importers.databases import holds, is_database, opened
from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.optuna import journal, storage, table
from promptlooper_export.records import Records


def read(source: str) -> Records:
    """Yield the studies of a source. Raises SourceError at any point."""
    if is_database(source):
        with opened(source) as database:
            yield from storage.read(database, storage.doubts(database))
    elif journal.recognises(source):
        with journal.replayed(source) as (replay, doubts):
            yield from storage.read(replay, doubts)
    else:
        yield from table.read(source)


def recognises(source: str) -> bool:
    """Return whether the source is one of what Optuna writes."""
    return (
        holds(source, storage.TABLES)
        or journal.recognises(source)
        or table.recognises(source)
    )


OPTUNA = Importer(title="Optuna studies", recognises=recognises, read=read)
