import gzip
import zlib
from collections.abc import Callable, Sequence

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from promptlooper_export.codings import (
    IDENTITY,
    choose_coding,
    installed_codings,
    takes_identity,
)

OFFERS = ("zstd", "gzip")

# One case a line: what is expected, `<`, the header. `-` stands for nothing acceptable.
CASES = r"""
identity <
identity < identity
identity < br
identity < deflate, br;q=0.5
identity < gzip;q=0
identity < gzip;q=0, zstd;q=0.000
identity < gzip;q=0.5, identity
identity < gzip;q=0.5, identity;q=0.501
identity < *;q=0, identity;q=0.001
identity < gzip;q=0, *;q=0, identity

gzip < gzip
gzip < GZip
gzip < x-gzip
gzip < gzip, deflate
gzip < deflate,gzip
gzip < gzip;q=0.001
gzip < gzip;q=1.000
gzip < gzip;q=1.
gzip < gzip;Q=0.5
gzip < gzip ; q=0.5
gzip <  , gzip ,
gzip < gzip;q=0.5, identity;q=0.4
gzip < gzip, identity
gzip < gzip;q=0.5, identity;q=0.5
gzip < identity;q=0, gzip;q=0.001
gzip < zstd;q=0.9, gzip
gzip < zstd;q=0, *
gzip < *;q=0, gzip
gzip < gzip;q=0.2, gzip;q=0.8, identity;q=0.5

zstd < zstd
zstd < gzip, deflate, br, zstd
zstd < *
zstd < *;q=0.1
zstd < gzip;q=0.1, *;q=0.2
zstd < br, *;q=0.1, identity;q=0.05
zstd < gzip;q=0, *

- < identity;q=0
- < *;q=0
- < br, identity;q=0
- < gzip;q=0, zstd;q=0, identity;q=0
- < br, *;q=0
- < gzip;q=0, *;q=0.0
- < identity;q=0, *;q=0

identity < gzip;q=2
identity < gzip;q=-1
identity < gzip;q=0.0001
identity < gzip;q=
identity < gzip;q
identity < gzip;level=1
identity < gzip;q=0.5;q=0.5
identity < gz ip
identity < "gzip"
identity < gzip;q="1"
gzip < zstd;q=high, gzip
identity < identity;q=nothing
"""


def cases() -> list[tuple[str, str]]:
    lines = [line for line in CASES.splitlines() if line]
    return [(line.partition(" <")[0], line.partition(" <")[2]) for line in lines]


@pytest.mark.parametrize(("expected", "header"), cases())
def test_the_coding_is_that_of_the_rfc(expected: str, header: str) -> None:
    assert (choose_coding(header.removeprefix(" "), OFFERS) or "-") == expected


def test_without_the_field_nothing_is_coded() -> None:
    assert choose_coding(None, OFFERS) == IDENTITY
    assert takes_identity(None)


@pytest.mark.parametrize(
    ("header", "taken"),
    [("gzip", True), ("identity;q=0", False), ("*;q=0", False), ("*", True)],
)
def test_what_is_not_coded_may_be_refused(header: str, *, taken: bool) -> None:
    assert takes_identity(header) is taken
    assert choose_coding(header, ()) == (IDENTITY if taken else None)


@given(st.text(), st.lists(st.sampled_from(OFFERS), unique=True))
def test_any_header_has_an_answer(header: str, offers: Sequence[str]) -> None:
    assert choose_coding(header, offers) in (None, IDENTITY, *offers)


def unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


READERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": unzstd,
}


@given(st.lists(st.binary()))
def test_a_coding_is_undone_by_its_reader(pieces: list[bytes]) -> None:
    codings = installed_codings()
    assert list(codings) == ["zstd", "gzip"]
    for name, encode in codings.items():
        coded = b"".join(encode(pieces))
        assert READERS[name](coded) == b"".join(pieces)
        assert b"".join(encode(pieces)) == coded


def test_gzip_tells_no_time() -> None:
    coded = b"".join(installed_codings()["gzip"]([b"x"]))
    assert coded[:8] == b"\x1f\x8b\x08\x00" + bytes(4)
    assert zlib.decompress(coded, 31) == b"x"
