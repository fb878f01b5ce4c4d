"""Content codings: choose one from Accept-Encoding, and apply it.

A coding's weight comes from the member that names it, else from `*`. Identity needs no
member: it is acceptable as the last choice, unless its weight is 0. Section
numbers below are those of RFC 9110; the rules are in section 12.5.3.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import TypeAlias

Encoder: TypeAlias = Callable[[Iterable[bytes]], Iterator[bytes]]

IDENTITY = "identity"
"""The coding of a body that is sent uncoded."""

# The weight is as in section 12.4.2; a coding has no other parameters.
_MEMBER = re.compile(
    r"(?P<coding>[A-Za-z0-9!#$%&'*+.^_`|~-]+)"
    r"(?:[\t ]*;[\t ]*q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.IGNORECASE,
)
_GZIP_LEVEL = 1  # level 6 takes three times as long to save a tenth of the size
_GZIP_WRAPPER = 16  # added to the window bits, it makes zlib write a gzip header
_ZSTD_LEVEL = 1  # smaller than gzip in half the time
_ALIASES = {"x-gzip": "gzip"}  # section 8.4.1.3
_UNNAMED = 1e-6  # below the least weight of a member, 0.001, but above 0


def gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress with gzip (RFC 1952); the same input always gives the same bytes.

    zlib writes no file name or time into the header.
    """
    encoder = zlib.compressobj(_GZIP_LEVEL, wbits=zlib.MAX_WBITS + _GZIP_WRAPPER)
    yield from map(encoder.compress, pieces)
    yield encoder.flush()


def zstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress with Zstandard (RFC 8878), in a window that every client must accept."""
    import zstandard  # noqa: PLC0415  an extra

    # RFC 9659 limits the window of HTTP answers to 8 MB; this level stays below it.
    encoder = zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj()
    yield from map(encoder.compress, pieces)
    yield encoder.flush()


def installed_codings() -> Mapping[str, Encoder]:
    """Return the codings that this installation can apply, fastest first."""
    if find_spec("zstandard"):
        return {"zstd": zstd, "gzip": gzip}
    return {"gzip": gzip}


def choose_coding(accept_encoding: str | None, offers: Sequence[str]) -> str | None:
    """Return the coding that the client prefers, or None if it accepts none.

    `offers` are the codings besides identity, in the server's order of preference,
    which breaks ties. A member that breaks the grammar is ignored.
    """
    if accept_encoding is None:
        return IDENTITY
    weights = _parse(accept_encoding)
    unnamed = weights.get("*", 0.0)
    rated = [(weights.get(offer, unnamed), offer) for offer in offers]
    # Last, so that any offer of the same weight wins: max() keeps the first.
    rated.append((weights.get(IDENTITY, weights.get("*", _UNNAMED)), IDENTITY))
    weight, coding = max(rated, key=lambda row: row[0])
    return coding if weight else None


def takes_identity(accept_encoding: str | None) -> bool:
    """Return whether the client accepts an uncoded body."""
    return choose_coding(accept_encoding, ()) is not None


@lru_cache(maxsize=256)  # clients are few, and each sends the same
def _parse(header: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for member in header.split(","):
        if match := _MEMBER.fullmatch(member.strip("\t ")):
            coding = match["coding"].lower()
            coding = _ALIASES.get(coding, coding)
            weight = float(match["weight"] or 1)
            # The RFC does not define a repeated coding; the highest weight wins.
            weights[coding] = max(weight, weights.get(coding, 0.0))
    return weights
