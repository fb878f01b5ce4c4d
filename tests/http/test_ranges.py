"""Ranges of bytes: RFC 9110, section 14."""

import base64
import hashlib
import re
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import experiment, run
from databases import Database
from webservice import Service, problem, settings_for


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(run({"accuracy": 0.9}, config={"prompt": "0123456789" * 10}))
    database.load(loaded)
    return loaded.id


def strong(id_: UUID) -> str:
    return f"/experiments/{id_}/export?format=json&reproducible=1"


# What a range takes of N bytes, as a slice of them; None: it is ignored.
RANGES: list[tuple[str, slice | None]] = [
    ("bytes=0-0", slice(0, 1)),
    ("bytes=0-", slice(0, None)),
    ("bytes=3-7", slice(3, 8)),
    ("bytes=3-", slice(3, None)),
    ("bytes=-1", slice(-1, None)),
    ("bytes=-3", slice(-3, None)),
    ("bytes=-999999", slice(0, None)),
    ("bytes=0-999999", slice(0, None)),
    (f"bytes=5-{'9' * 4000}", slice(5, None)),
    (f"bytes=-{'9' * 4000}", slice(0, None)),
    ("bytes=00005-007", slice(5, 8)),
    ("BYTES=3-7", slice(3, 8)),
    ("bytes= 3-7", slice(3, 8)),
    ("bytes=3-7,", slice(3, 8)),
    ("bytes=, 3-7\t,", slice(3, 8)),
    ("bytes=0-1,4-5", None),
    ("bytes=0-1, 999999-", None),
    ("bytes=999998-,999999-", None),
    ("bytes=7-3", None),
    ("bytes=", None),
    ("bytes=,", None),
    ("bytes=-", None),
    ("bytes=--1", None),
    ("bytes=3", None),
    ("bytes=3-7-9", None),
    ("bytes=a-b", None),
    ("bytes=3 - 7", None),
    ("bytes=+3-7", None),
    ("bytes=0x3-7", None),
    ("bytes=3.0-7", None),
    ("bytes=\u0663-\u0667", None),
    (f"bytes=0-{'9' * 4001}", None),
    ("bytes =3-7", None),
    ("bytes:3-7", None),
    ("bytes 3-7", None),
    ("bytes", None),
    ("3-7", None),
    ("", None),
    ("items=3-7", None),
    ("items=999999-", None),
    ("seconds=1-2", None),
]


@pytest.mark.parametrize(("field", "taken"), RANGES)
def test_one_good_range_is_a_part_and_all_else_the_whole(
    service: Service, id_: UUID, field: str, taken: slice | None
) -> None:
    whole = service.ask(strong(id_))
    sent = field.encode().decode("latin-1")
    response = service.ask(strong(id_), headers={"Range": sent})

    if taken is None:
        assert response.status_code == 200
        assert response.data == whole.data
        assert "Content-Range" not in response.headers
    else:
        places = range(*taken.indices(len(whole.data)))
        assert response.status_code == 206
        assert response.data == whole.data[taken]
        assert response.content_length == len(places)
        content_range = f"bytes {places[0]}-{places[-1]}/{len(whole.data)}"
        assert response.headers["Content-Range"] == content_range
    head = service.ask(strong(id_), method="HEAD", headers={"Range": sent})
    assert head.status_code == 200
    assert head.content_length == len(whole.data)


def test_a_part_has_the_fields_of_the_whole(service: Service, id_: UUID) -> None:
    path = f"/experiments/{id_}/export?reproducible=1"
    whole = service.ask(path)
    part = service.ask(path, headers={"Range": "bytes=3-7"})

    assert part.status_code == 206
    assert set(part.headers.keys()) - set(whole.headers.keys()) == {"Content-Range"}
    differing = {"X-Request-ID", "Content-Length", "Content-Range"}
    for name, value in whole.headers.items():
        if name not in differing:
            assert part.headers[name] == value
    digest = base64.b64encode(hashlib.sha256(whole.data).digest()).decode()
    assert part.headers["Repr-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("field", ["bytes={}-", "bytes={}-{}", "bytes=-0", "bytes=-00"])
def test_a_range_after_the_end_is_a_problem_with_the_length(
    service: Service, id_: UUID, field: str
) -> None:
    path = f"/experiments/{id_}/export?reproducible=1"
    whole = service.ask(path)
    length = len(whole.data)
    response = service.ask(path, headers={"Range": field.format(length, length + 1)})

    assert problem(response, 416, "range-not-satisfiable")["length"] == length
    assert response.headers["Content-Range"] == f"bytes */{length}"
    assert response.headers["ETag"] == whole.headers["ETag"]
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    last = service.ask(path, headers={"Range": f"bytes={length - 1}-"})
    assert last.data == whole.data[-1:]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.sets(st.integers(1, 400), max_size=6))
def test_ranges_that_follow_one_another_make_the_whole(
    service: Service, id_: UUID, cuts: set[int]
) -> None:
    whole = service.ask(strong(id_))
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole.data))]
    fields = [f"bytes={a}-{b - 1}" for a, b in pairwise(edges)]
    fields.append(f"bytes={edges[-1]}-")
    parts = [
        service.ask(
            strong(id_),
            headers={"Range": field, "If-Range": whole.headers["ETag"]},
        )
        for field in fields
    ]
    assert {part.status_code for part in parts} == {206}
    assert b"".join(part.data for part in parts) == whole.data


def test_a_download_goes_on_where_it_broke_off_unless_the_data_changed(
    database: Database,
) -> None:
    words = "".join(f"{number:08}" for number in range(400_000))
    loaded = experiment(run({"accuracy": 0.9}, config={"prompt": words}))
    database.load(loaded)
    service = Service(settings_for(database.url))
    whole = service.ask(strong(loaded.id))
    middle = (1 << 20) + 12345
    rest = {"Range": f"bytes={middle}-", "If-Range": whole.headers["ETag"]}

    assert len(whole.data) > 3 << 20
    again = service.ask(strong(loaded.id), headers=rest)
    assert again.status_code == 206
    assert whole.data[:middle] + again.data == whole.data

    database.execute(
        "UPDATE runs SET config = ? WHERE experiment_id = ?", "{}", loaded.id
    )
    fresh = service.ask(strong(loaded.id), headers=rest)
    assert fresh.status_code == 200
    assert re.search(rb'"config": ?\{\}', fresh.data)
