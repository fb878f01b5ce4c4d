import base64
import gzip
import hashlib
from collections.abc import Callable
from itertools import product
from uuid import UUID

import pytest
import zstandard

from builders import experiment, run
from databases import Database
from webservice import Service, problem, settings_for, without_clock


def unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


READERS = {"gzip": gzip.decompress, "zstd": unzstd}
FORMATS = ("json", "env", "yaml", "markdown", "csv", "ndjson")


@pytest.fixture
def large(database: Database) -> str:
    """Give the path of an export that every format makes longer than 1 KiB."""
    return load(database, "x" * 5000)


@pytest.fixture
def small(database: Database) -> str:
    return load(database, "x")


def load(database: Database, prompt: str) -> str:
    loaded = experiment(run({"accuracy": 0.9}, config={"prompt": prompt}))
    database.load(loaded)
    return f"/experiments/{loaded.id}/export?reproducible=1&format="


@pytest.mark.parametrize("coding", READERS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_coded_body_is_the_same_text(
    service: Service, large: str, name: str, coding: str
) -> None:
    plain = service.ask(large + name)
    coded = service.ask(large + name, headers={"Accept-Encoding": coding})

    assert coded.headers["Content-Encoding"] == coding
    assert coded.content_type == plain.content_type
    assert READERS[coding](coded.data) == plain.data
    assert coded.content_length == len(coded.data) < len(plain.data)
    digest = base64.b64encode(hashlib.sha256(coded.data).digest()).decode()
    assert coded.headers["Repr-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("coding", [*READERS, "identity"])
def test_what_may_be_coded_says_so(service: Service, large: str, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    whole = service.ask(f"{large}json", headers=headers)
    held = headers | {"If-None-Match": whole.headers["ETag"]}
    for response in (
        whole,
        service.ask(f"{large}json", headers=held),
        service.ask(f"{large}json", method="HEAD", headers=headers),
    ):
        assert response.headers["Vary"] == "Accept-Encoding"
    negotiated = service.ask(large.partition("?")[0], headers=headers)
    assert negotiated.headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("coding", [*READERS, "identity"])
def test_head_says_what_get_says_of_a_coded_body(
    service: Service, large: str, coding: str
) -> None:
    headers = {"Accept-Encoding": coding}
    get = service.ask(f"{large}json", headers=headers)
    head = service.ask(f"{large}json", method="HEAD", headers=headers)

    said = dict(get.headers) | {"X-Request-ID": head.headers["X-Request-ID"]}
    assert dict(head.headers) == said
    assert head.data == b""


def test_every_coding_has_a_tag_of_its_own(service: Service, large: str) -> None:
    tags = {
        coding: service.ask(
            f"{large}json", headers={"Accept-Encoding": coding}
        ).headers["ETag"]
        for coding in ("identity", "gzip", "zstd")
    }
    assert len(set(tags.values())) == 3
    for (coding, own), (named, tag) in product(tags.items(), repeat=2):
        headers = {"Accept-Encoding": coding, "If-None-Match": tag}
        response = service.ask(f"{large}json", headers=headers)
        assert response.status_code == (304 if named == coding else 200)
        assert response.headers["ETag"] == own


def test_a_weak_tag_differs_by_coding_too(service: Service, large: str) -> None:
    path = large.replace("reproducible=1", "reproducible=0")
    tags = {
        service.ask(f"{path}json", headers={"Accept-Encoding": coding}).headers["ETag"]
        for coding in ("identity", "gzip", "zstd")
    }
    assert len(tags) == 3


@pytest.mark.parametrize("coding", READERS)
def test_a_coded_body_has_no_ranges(service: Service, large: str, coding: str) -> None:
    headers = {"Accept-Encoding": coding, "Range": "bytes=0-3"}
    response = service.ask(f"{large}json", headers=headers)

    assert response.status_code == 200
    assert response.headers["Accept-Ranges"] == "none"
    assert len(READERS[coding](response.data)) > 5000


@pytest.mark.parametrize("coding", READERS)
def test_a_small_body_is_sent_as_it_is(
    service: Service, small: str, coding: str
) -> None:
    plain = service.ask(f"{small}json")
    headers = {"Accept-Encoding": coding}
    response = service.ask(f"{small}json", headers=headers)

    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"] == plain.headers["ETag"]
    held = headers | {"If-None-Match": plain.headers["ETag"]}
    assert service.ask(f"{small}json", headers=held).status_code == 304


def test_a_small_body_is_coded_for_who_takes_no_other(
    service: Service, small: str
) -> None:
    headers = {"Accept-Encoding": "gzip, identity;q=0"}
    response = service.ask(f"{small}json", headers=headers)

    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == service.ask(f"{small}json").data


@pytest.mark.parametrize("field", ["identity;q=0", "*;q=0", "br, *;q=0"])
def test_nothing_acceptable_is_a_problem(
    service_without_database: Service, field: str
) -> None:
    for path in ("export", "export?format=yaml", "export?format=markdown"):
        response = service_without_database.ask(
            f"/experiments/{UUID(int=1)}/{path}", headers={"Accept-Encoding": field}
        )
        document = problem(response, 406, "coding-not-acceptable")
        assert document["available"] == ["identity", "zstd", "gzip"]
        assert "Content-Encoding" not in response.headers


BINARY = """
from promptlooper_export.plugin import Best, Format
def render(best: Best):
    yield bytes(5000)
FORMAT = Format(name="stranger", title="t", document=Best, render=render,
    media_types=("application/x-stranger",), extension="bin")
"""


def test_what_is_no_text_is_not_coded(
    database: Database, large: str, install_format: Callable[[str], None]
) -> None:
    install_format(BINARY)
    service = Service(settings_for(database.url))
    headers = {"Accept-Encoding": "gzip, zstd"}
    response = service.ask(f"{large}stranger", headers=headers)

    assert response.data == bytes(5000)
    assert "Content-Encoding" not in response.headers
    assert "Vary" not in response.headers
    refused = service.ask(f"{large}stranger", headers={"Accept-Encoding": "*;q=0"})
    document = problem(refused, 406, "coding-not-acceptable")
    assert document["available"] == ["identity"]


def test_a_body_beyond_memory_is_coded_whole(
    service: Service, database: Database
) -> None:
    path = load(database, "".join(f"{number:08}" for number in range(400_000)))
    plain = service.ask(f"{path}json")
    coded = service.ask(f"{path}json", headers={"Accept-Encoding": "gzip"})

    assert len(plain.data) > 3 << 20
    assert without_clock(gzip.decompress(coded.data)) == without_clock(plain.data)
