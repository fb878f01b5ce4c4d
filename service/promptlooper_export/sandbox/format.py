"""A third party's format, as the service holds it."""

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from promptlooper_export.documents import Best, Notice, Report, Runs
from promptlooper_export.errors import (
    FormatFailedError,
    FormatTimeoutError,
    UnrepresentableError,
)
from promptlooper_export.format import Format
from promptlooper_export.sandbox import frames
from promptlooper_export.sandbox.exchange import exchange
from promptlooper_export.sandbox.fork_server import Sandbox

NOTICES = 1000
"""As many notices as a rendering may give."""

_ROWS_AT_ONCE = 100

D = TypeVar("D", Best, Report, Runs)


class RenderingError(Exception):
    """What went wrong in a rendering process: its traceback."""


@dataclass(frozen=True, kw_only=True)
class ForeignFormat(Format[D]):
    """A third party's format; `source` is where its declaration is, module:attribute.

    Its `render` is not called in this process, but in one of the sandbox.
    """

    source: str
    sandbox: Sandbox = field(repr=False)

    def isolated_pieces(
        self, document: D, options: Mapping[str, Any], *, deadline: float
    ) -> Iterator[bytes | Notice]:
        """Yield the pieces as they come out of the process that renders.

        `deadline` is a moment of time.monotonic(). Raises UnrepresentableError,
        FormatFailedError and FormatTimeoutError.
        """
        parcels = _parcels(self.source, document, options)
        notices = 0
        with self.sandbox.channel() as channel:
            received = exchange(channel, parcels, deadline=deadline)
            try:
                for kind, payload in received:
                    if kind == frames.END:
                        return
                    if kind == frames.PIECE:
                        yield payload
                        continue
                    notices += 1
                    yield self._notice(kind, payload)
                    if notices > NOTICES:
                        reason = f"more than {NOTICES} notices"
                        raise self._failed(reason)
            except TimeoutError:
                raise FormatTimeoutError(self.name) from None
            except ValueError as error:
                reason = "it sent what it should not"
                raise self._failed(reason) from error
        reason = "its process ended before the body did"
        raise self._failed(reason)

    def _notice(self, kind: bytes, payload: bytes) -> Notice:
        """Read a frame that is not a piece; raise what the other process raised."""
        members = json.loads(payload)
        match kind, members:
            case frames.NOTICE, {"code": str(), "message": str(), "path": str() | None}:
                return Notice(**members)
            case frames.REFUSAL, {"detail": str(detail), "paths": [*paths]}:
                raise UnrepresentableError(detail, paths=tuple(map(str, paths)))
            case frames.FAILURE, {"kind": str(reason), "traceback": str(text)}:
                raise self._failed(reason) from RenderingError(text)
        msg = f"a frame of kind {kind!r}"
        raise ValueError(msg)

    def _failed(self, reason: str) -> FormatFailedError:
        detail = f"The format {self.name!r} failed: {reason}. Choose another one."
        return FormatFailedError(detail, format=self.name)


def _parcels(
    source: str, document: Best | Report | Runs, options: Mapping[str, Any]
) -> Iterator[bytes]:
    """Yield what the rendering process unpickles, the rows of runs in batches.

    After the last of them come the warnings, which are complete only then.
    """
    yield pickle.dumps(source)
    if not isinstance(document, Runs):
        yield pickle.dumps((document, options))
        return
    columns = partial(replace, document.columns)  # found here, where the database is
    document_alone = replace(document, rows=iter(()), find_columns=columns)
    yield pickle.dumps((document_alone, options))
    while batch := list(islice(document.rows, _ROWS_AT_ONCE)):
        yield pickle.dumps(batch)
    yield pickle.dumps([])
    yield pickle.dumps(list(document.warnings))
