"""MLflow's experiments: tracking stores in SQLite and PostgreSQL, folders, archives."""

from promptlooper_export.importers.databases import holds, is_database, opened
from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.mlflow import folder, store
from promptlooper_export.records import Records


def read(source: str) -> Records:
    """Yield the experiments of a source. Raises SourceError at any point."""
    open_ = opened if is_database(source) else folder.loaded
    with open_(source) as database:
        yield from store.read(database)


def recognises(source: str) -> bool:
    """Return whether the source is a database, folder or archive of MLflow."""
    return holds(source, store.TABLES) or folder.recognises(source)


MLFLOW = Importer(title="MLflow experiments", recognises=recognises, read=read)
