"""The use case: turn an experiment into a document, and the document into bytes."""

import json
import math
import re
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from errno import EACCES, EDQUOT, ENOENT, ENOSPC, ENOTDIR, EROFS
from functools import cached_property
from hashlib import sha256
from traceback import format_exception
from typing import Any
from uuid import UUID

from promptlooper_export.analysis.verdict import MARGIN
from promptlooper_export.deadline import in_time, until
from promptlooper_export.documents import Best, Document, Notice, Report, Runs
from promptlooper_export.errors import (
    ExportError,
    FormatFailedError,
    FormatTimeoutError,
)
from promptlooper_export.redaction import redact
from promptlooper_export.registry import AnyFormat
from promptlooper_export.spool import (
    Body,
    Space,
    keep_files_in,
    no_room,
    spool,
)
from promptlooper_export.store.against import Opponent
from promptlooper_export.store.locations import sort_in
from promptlooper_export.store.snapshot import Snapshot, Store
from promptlooper_export.store.what_if import STORED, WhatIf
from promptlooper_export.timeless import (
    LONGEST,
    Made,
    Timeless,
    timeless,
    without_time,
)
from promptlooper_export.viewer import Viewer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one export.

    `spool_bytes` is the largest body, in bytes, and `space` what it shares with others;
    `seconds` is the longest time that an export may take.
    """

    spool_bytes: int
    space: Space = field(default_factory=Space)
    seconds: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of an experiment to export; `top_n` is for reports, 1 to 50.

    Runs start after the run `after`, and there are at most `limit`, 1 or more. The
    winner of the other documents is chosen by `what_if`. A report compares it with
    `baseline`, the id or name of a run or a config_hash; differences up to `margin`
    count as none. It is also compared with the winner of another experiment,
    `against`.

    The document's time is `exported_at`, by default now. With `reproducible`, it is the
    time of the last change, and the same data gives the same bytes. `redact` removes
    secrets.
    """

    top_n: int = 5
    what_if: WhatIf = STORED
    baseline: str | None = None
    margin: float = MARGIN
    against: Opponent | None = None
    reproducible: bool = False
    exported_at: datetime | None = None
    redact: bool = True
    limit: int | None = None
    after: UUID | None = None

    @cached_property
    def key(self) -> str:
        """A text that identifies the selection."""
        return json.dumps(asdict(self), sort_keys=True, default=str)

    def has_clock(self, document: type[Document]) -> bool:
        """Return whether two exports of the same data differ in their time."""
        return document is not Runs and not self.reproducible


class UnredactedExportError(Exception):
    """Where an export with secrets failed: the places that its traceback names."""


# A format's own temporary files: the disk or a quota is full, or the directory for them
# is not there or takes none.
_NO_ROOM = {ENOSPC, EDQUOT, EROFS, ENOENT, ENOTDIR, EACCES}

_PLACE = re.compile(r'^ *File "[^"\n]+", line [0-9]+, in [\w<>]+$', re.MULTILINE)

_TIMELESS = datetime(1970, 1, 1, tzinfo=UTC)


def use_directory(directory: str | None) -> None:
    """Have every temporary file of this process made there: spools, sorts, copies.

    None stands for the system's temporary directory. Raises SettingsError if it takes
    no file.
    """
    keep_files_in(directory)
    sort_in(tempfile.gettempdir())


def export(
    store: Store,
    viewer: Viewer,
    experiment: UUID,
    format: AnyFormat,
    options: Mapping[str, Any],
    *,
    selection: Selection,
    limits: Limits,
    note: str | None = None,
) -> Body:
    """Render one experiment in one format, from one snapshot of the database.

    The connection is released before this returns. If `note` is given, what was
    rendered is kept under it until the database changes: it must stand for everything
    but the data. Raises what the store refuses (ExperimentNotFoundError,
    NothingToExportError, InvalidConfigError, DatabaseUnavailableError), what the format
    refuses (UnrepresentableError), FormatFailedError, FormatTimeoutError,
    ExportTooLargeError and SpoolFullError.
    """
    deadline = time.monotonic() + limits.seconds
    made = None
    try:
        if note is not None and format.document is Best:
            made = made_before(store, viewer, experiment, note, selection, deadline)
        if made is not None and made.body is not None:
            return made.body.now(limit=limits.spool_bytes, space=limits.space)
        # Rendered within the snapshot: rows are read from it while they are written.
        with store.snapshot(viewer, deadline=deadline) as snapshot, until(deadline):
            document = _document(snapshot, experiment, format, selection)
            body = export_document(
                document, format, options, redacted=selection.redact, limits=limits,
                has_clock=selection.has_clock(format.document), deadline=deadline,
            )  # fmt: skip
            if note is not None:
                kept = None
                if made is None:  # else it was tried before
                    kept = _timeless(body, document, format, options, selection)
                made = Made(content=body.content, body=kept)
                snapshot.keep(experiment, note, made, made.size)
            return body
    except TimeoutError:
        raise FormatTimeoutError(format.name) from None


def made_before(
    store: Store,
    viewer: Viewer,
    experiment: UUID,
    note: str,
    selection: Selection,
    deadline: float = math.inf,
) -> Made | None:
    """Return what was rendered and kept under the note, if that still holds.

    None as well if the viewer may not see it. Raises DatabaseUnavailableError, and
    TimeoutError after the deadline.
    """
    against = None if selection.against is None else selection.against.experiment
    glance = store.glance(viewer, deadline=deadline)
    made: Made | None = glance.made(experiment, note, against=against)
    return made


def _timeless(
    body: Body,
    document: Document,
    format: AnyFormat,
    options: Mapping[str, Any],
    selection: Selection,
) -> Timeless | None:
    """Return the body without the time of the export; None if nobody knows how."""
    if not (isinstance(document, Best) and format.is_repeatable and selection.redact):
        return None
    if body.length > LONGEST:
        return None
    if selection.reproducible:
        return without_time(body, None)

    def render(moment: datetime) -> Body:
        limits = Limits(spool_bytes=2 * LONGEST)
        other = replace(document, exported_at=moment)
        return export_document(other, format, options, redacted=True, limits=limits)

    try:
        return timeless(body, document.exported_at, render)
    except ExportError:  # a time that is written with more digits may be too long
        return None


def export_document(
    document: Document,
    format: AnyFormat,
    options: Mapping[str, Any],
    *,
    redacted: bool,
    limits: Limits,
    has_clock: bool = True,
    deadline: float = math.inf,
) -> Body:
    """Render a document, without its secrets if `redacted`.

    If it `has_clock`, the time of the export does not count as content.

    `deadline` is a moment of time.monotonic(). Raises what the format refuses
    (UnrepresentableError), FormatFailedError, FormatTimeoutError, ExportTooLargeError
    and SpoolFullError.
    """
    try:
        with until(deadline):
            return _spooled(
                redact(document) if redacted else document,
                format,
                options,
                has_clock=has_clock,
                limits=limits,
                deadline=deadline,
            )
    except TimeoutError:
        raise FormatTimeoutError(format.name) from None
    except FormatFailedError as error:
        if redacted:
            raise
        raise FormatFailedError(error.detail, **error.members) from _places(error)


def _spooled(
    document: Document,
    format: AnyFormat,
    options: Mapping[str, Any],
    *,
    has_clock: bool,
    limits: Limits,
    deadline: float,
) -> Body:
    # Closing kills a third-party process at once, even if the spool gave up.
    with closing(_render(format, document, options, deadline)) as pieces:
        return spool(
            pieces,
            title=_title(document),
            content=_digest(document) if has_clock else None,
            row_count=document.count if isinstance(document, Runs) else None,
            last_run=document.last if isinstance(document, Runs) else None,
            limit=limits.spool_bytes,
            space=limits.space,
        )


def _digest(document: Document) -> bytes | None:
    """Return a digest of everything in a document except its time.

    None for runs, which can be read only once; the digest of their bytes is used.
    """
    if isinstance(document, Runs):
        return None
    # The repr of a dataclass has every field, and floats to the last digit.
    timeless = replace(document, exported_at=_TIMELESS)
    return sha256(repr(timeless).encode("utf-8", "surrogatepass")).digest()


def _moment(
    snapshot: Snapshot, experiment: UUID, selection: Selection
) -> datetime | None:
    if selection.reproducible:
        # The same bytes for the same data need some time, and any will do.
        return snapshot.last_change(experiment) or _TIMELESS
    return selection.exported_at


def _document(
    snapshot: Snapshot,
    experiment: UUID,
    format: AnyFormat,
    selection: Selection,
) -> Document:
    if format.document is Runs:
        return snapshot.runs(
            experiment,
            limit=selection.limit,
            after=selection.after,
            with_columns=format.needs_columns,
            redacted=selection.redact,
        )
    moment = _moment(snapshot, experiment, selection)
    if format.document is Report:
        return snapshot.report(
            experiment,
            top_n=selection.top_n,
            what_if=selection.what_if,
            baseline=selection.baseline,
            margin=selection.margin,
            against=selection.against,
            with_decision=format.needs_decision,
            exported_at=moment,
        )
    return snapshot.best(experiment, what_if=selection.what_if, exported_at=moment)


def _title(document: Document) -> str:
    if isinstance(document, Best):
        return document.experiment_name
    return document.experiment.name


def _render(
    format: AnyFormat,
    document: Document,
    options: Mapping[str, Any],
    deadline: float,
) -> Generator[bytes | Notice]:
    """Yield what the format yields; whatever it raises becomes an ExportError.

    The document's warnings are yielded as well: some formats have no place for them.
    """
    if isinstance(document, Runs):
        # A format may read many runs before its first piece.
        document = replace(document, batches=in_time(document.batches))
    try:
        if not isinstance(document, Runs):
            yield from dict.fromkeys(document.warnings)
        yield from format.stream(document, options, deadline=deadline)
        if isinstance(document, Runs):
            # Not all were known at the start.
            yield from document.warnings
    except ExportError:
        raise
    except TimeoutError:
        raise FormatTimeoutError(format.name) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise _failed(format, error) from error
        raise no_room(error) from error
    except Exception as error:
        # Name the format, or its defect would look like one of the service.
        raise _failed(format, error) from error


def _failed(format: AnyFormat, error: Exception) -> FormatFailedError:
    kind = type(error).__name__
    detail = f"The format {format.name!r} failed: {kind}. Choose another one."
    return FormatFailedError(detail, format=format.name)


def _places(error: Exception) -> Exception:
    """Return an error that says where a format failed, for the log.

    The messages of the errors may hold secrets of the config and are left out.
    """
    text = "".join(format_exception(error))
    return UnredactedExportError("\n".join(_PLACE.findall(text)))
