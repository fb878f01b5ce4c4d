"""promptfoo's evals."""

from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.promptfoo import document, spreadsheet, store
from promptlooper_export.records import Records

_KINDS = (
    (document.recognises, document.read),
    (spreadsheet.recognises, spreadsheet.read),
    (store.recognises, store.read),
)


def recognises(source: str) -> bool:
    """Return whether the source is one of promptfoo's kinds of files."""
    return any(is_one(source) for is_one, _ in _KINDS)


def read(source: str) -> Records:
    """Yield the evals of a file; one that is not recognised is read as JSON.

    Raises SourceError.
    """
    for is_one, read_one in _KINDS:
        if is_one(source):
            return read_one(source)
    return document.read(source)


PROMPTFOO = Importer(title="promptfoo results", recognises=recognises, read=read)
