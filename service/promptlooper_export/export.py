"""The use case: an experiment becomes a document, a document becomes bytes."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from promptlooper_export.documents import Best, Document, Notice, Report, Runs
from promptlooper_export.errors import ExportError, FormatFailedError
from promptlooper_export.registry import AnyFormat
from promptlooper_export.spool import Body, spool
from promptlooper_export.store.open import Snapshot, Store
from promptlooper_export.viewer import Viewer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one export; `spool_bytes` is the largest body, in bytes."""

    spool_bytes: int
    spool_directory: str | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of the experiment is exported; `top_n` is for reports, 1 to 50.

    With `reproducible` the document names the data's own last change as its moment, and
    the same data give the same bytes.
    """

    top_n: int = 5
    reproducible: bool = False


def export(  # noqa: PLR0913  each has its own origin
    store: Store,
    viewer: Viewer,
    experiment: UUID,
    format: AnyFormat,  # noqa: A002  the field's word
    options: Mapping[str, Any],
    *,
    selection: Selection,
    limits: Limits,
) -> Body:
    """Render one experiment in one format, from one snapshot of the database.

    The connection is given back before this returns. Raises what the store refuses
    (ExperimentNotFoundError, NothingToExportError, InvalidConfigError,
    DatabaseUnavailableError), what the format refuses (UnrepresentableError),
    FormatFailedError, ExportTooLargeError and SpoolFullError.
    """
    with store.snapshot(viewer) as snapshot:
        document = DOCUMENTS[format.document](snapshot, experiment, selection)
        with closing(_render(format, document, options)) as pieces:
            return spool(
                pieces,
                title=_title(document),
                revision=snapshot.revision(experiment),
                row_count=document.count if isinstance(document, Runs) else None,
                limit=limits.spool_bytes,
                directory=limits.spool_directory,
                name=format.name,
            )


def _best(snapshot: Snapshot, experiment: UUID, selection: Selection) -> Best:
    moment = snapshot.last_change(experiment) if selection.reproducible else None
    return snapshot.best(experiment, exported_at=moment)


def _report(snapshot: Snapshot, experiment: UUID, selection: Selection) -> Report:
    moment = snapshot.last_change(experiment) if selection.reproducible else None
    return snapshot.report(experiment, top_n=selection.top_n, exported_at=moment)


DOCUMENTS: Mapping[type, Callable[[Snapshot, UUID, Selection], Document]] = {
    Best: _best,
    Report: _report,
}
"""How each document is made; a format of another one cannot be offered."""


def _title(document: Document) -> str:
    if isinstance(document, Best):
        return document.experiment_name
    return document.experiment.name


def _render(
    format: AnyFormat,  # noqa: A002
    document: Document,
    options: Mapping[str, Any],
) -> Generator[bytes | Notice]:
    """Yield what the format yields; turn whatever a stranger raises into a refusal."""
    try:
        yield from format.render(document, **options)
    except ExportError:
        raise
    except Exception as error:
        kind = type(error).__name__
        detail = f"The format {format.name!r} failed: {kind}. Choose another one."
        raise FormatFailedError(detail, format=format.name) from error
