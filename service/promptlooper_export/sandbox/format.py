"""A third-party format, as the service holds it: its code runs in the sandbox."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from promptlooper_export.configs import JSON, strict_json
from promptlooper_export.documents import Best, Notice, Report, Runs
from promptlooper_export.errors import (
    FormatFailedError,
    FormatTimeoutError,
    UnrepresentableError,
)
from promptlooper_export.format import Format
from promptlooper_export.sandbox import frames
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.sandbox.parcels import pack

NOTICES = 1000
"""The most notices that one rendering may give."""

CONFIG_BYTES = 1 << 26
"""The longest config that a reading may give, in bytes of JSON."""

_ROWS_AT_ONCE = 100

D = TypeVar("D", Best, Report, Runs)


class SandboxedError(Exception):
    """What went wrong in a process of the sandbox: its traceback."""


@dataclass(frozen=True, kw_only=True)
class ForeignFormat(Format[D]):
    """A third-party format; `source` is where its declaration is, module:attribute.

    Its `render` and `read` are never called in this process.
    """

    source: str
    sandbox: Sandbox = field(repr=False)

    is_repeatable = False  # nobody knows

    def stream(
        self,
        document: D,
        options: Mapping[str, Any] = MappingProxyType({}),
        *,
        deadline: float = math.inf,
    ) -> Iterator[bytes | Notice]:
        """Yield the pieces as they come out of the process that renders.

        `deadline` is a moment of time.monotonic(). Raises UnrepresentableError,
        FormatFailedError and FormatTimeoutError.
        """
        notices = 0
        parcels = _rendering(self.source, document, options)
        for kind, payload in self._received(parcels, deadline):
            if kind == frames.PIECE:
                yield payload
                continue
            notices += 1
            yield self._notice(kind, payload)
            if notices > NOTICES:
                reason = f"more than {NOTICES} notices"
                raise self._failed(reason)

    def parse(
        self, data: bytes, options: Mapping[str, Any] = MappingProxyType({})
    ) -> Mapping[str, JSON]:
        """Return the config that the process of the sandbox reads from a file.

        Raises ValueError for a file that `read` refuses, and FormatFailedError and
        FormatTimeoutError.
        """
        text = bytearray()
        parcels = iter([pack((self.source, frames.READ, data, dict(options)))])
        for kind, payload in self._received(parcels, math.inf):
            if kind == frames.INVALID:
                raise ValueError(payload.decode())
            # A reading has no notices, but its failure is raised here.
            if kind != frames.PIECE:
                self._notice(kind, payload)
            text += payload
            if len(text) > CONFIG_BYTES:
                reason = f"it read a config of more than {CONFIG_BYTES} bytes"
                raise self._failed(reason)
        try:
            # Third-party code may have written NaN, or no JSON at all.
            config = strict_json(text.decode())
        except (ValueError, RecursionError) as error:
            reason = f"what it read is not JSON: {error}"
            raise self._failed(reason) from error
        if not isinstance(config, dict):
            reason = f"it read a {type(config).__name__}, not a mapping"
            raise self._failed(reason)
        return config

    def _received(
        self, parcels: Iterator[bytes], deadline: float
    ) -> Iterator[tuple[bytes, bytes]]:
        """Send the parcels to a new process, and yield the frames that it sends."""
        with self.sandbox.channel() as channel:
            received = self.sandbox.exchange(channel, parcels, deadline=deadline)
            try:
                for kind, payload in received:
                    if kind == frames.END:
                        return
                    yield kind, payload
            except TimeoutError:
                raise FormatTimeoutError(self.name) from None
            except frames.FrameError as error:
                reason = "it sent what it should not"
                raise self._failed(reason) from error
        # Without END, the body may be incomplete.
        reason = "its process ended before the body did"
        raise self._failed(reason)

    def _notice(self, kind: bytes, payload: bytes) -> Notice:
        """Return the notice in a frame; raise what the other process raised."""
        try:
            members = json.loads(payload)
        except ValueError:
            members = None
        # Checked down to the types, since third-party code can write to the channel.
        match kind, members:
            case frames.NOTICE, {"code": str(), "message": str(), "path": str() | None}:
                return Notice(**members)
            case frames.REFUSAL, {"detail": str(detail), "paths": [*paths]}:
                raise UnrepresentableError(detail, paths=tuple(map(str, paths)))
            case frames.FAILURE, {"kind": str(reason), "traceback": str(text)}:
                raise self._failed(reason) from SandboxedError(text)
        reason = "it sent what it should not"
        raise self._failed(reason)

    def _failed(self, reason: str) -> FormatFailedError:
        detail = f"The format {self.name!r} failed: {reason}. Choose another one."
        return FormatFailedError(detail, format=self.name)


def _rendering(
    source: str, document: Best | Report | Runs, options: Mapping[str, Any]
) -> Iterator[bytes]:
    """Yield what the rendering process unpacks, the rows of runs in batches.

    After the last of them come the warnings, which are complete only then.
    """
    if not isinstance(document, Runs):
        yield pack((source, frames.RENDER, document, dict(options)))
        return
    # The batches come from an open database connection, which cannot be pickled.
    alone = replace(document, batches=iter(()))
    yield pack((source, frames.RENDER, alone, dict(options)))
    for batch in document.batches:
        for place in range(0, len(batch), _ROWS_AT_ONCE):
            yield pack(batch[place : place + _ROWS_AT_ONCE])
    yield pack([])
    yield pack(list(document.warnings))
