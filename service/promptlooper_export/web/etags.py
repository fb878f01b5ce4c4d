"""Entity tags of exports (RFC 9110, section 8.8.3).

A tag is a digest over all that decides the bytes, the data's part in it being a digest
of the content: so the same data have the same tag in every worker, after a restart and
on a standby.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import UUID

from promptlooper_export import __version__
from promptlooper_export.export import Selection
from promptlooper_export.registry import AnyFormat

_DIGEST_BYTES = 18  # a multiple of 3, so that base64 needs no padding


@dataclass(frozen=True, kw_only=True)
class Tag:
    """An entity tag; a strong one means equal bytes, a weak one equal content."""

    opaque: str
    weak: bool

    def __str__(self) -> str:
        """Write the tag as ETag has it."""
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'


@dataclass(frozen=True, kw_only=True)
class Representation:
    """What decides the bytes of an answer, besides the data and the content coding.

    `version` names the format's distribution and its version; `options` are loaded, so
    that defaults are filled in and the order of the query does not matter.
    """

    experiment: UUID
    format: AnyFormat
    version: str
    media_type: str
    options: Mapping[str, Any]
    selection: Selection

    @property
    def has_clock(self) -> bool:
        """Whether two answers of the same data differ by the moment of the export."""
        return self.selection.has_clock(self.format.document)

    @cached_property
    def key(self) -> str:
        """Return a text that names the representation, whatever the data."""
        return json.dumps(
            [
                __version__,
                self.version,
                str(self.experiment),
                self.format.name,
                self.media_type,
                self.options,
                asdict(self.selection),
            ],
            sort_keys=True,
            default=repr,  # a stranger's option may be any object
        )

    def tag(self, content: bytes, coding: str | None) -> Tag:
        """Return the tag of a content.

        `coding` is None for a body that would not be coded for any client.
        """
        digest = sha256(self.key.encode() + content).digest()[:_DIGEST_BYTES]
        opaque = urlsafe_b64encode(digest).decode()
        if coding is not None:
            opaque += f"-{coding}"
        return Tag(opaque=opaque, weak=self.has_clock)
