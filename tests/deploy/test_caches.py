"""Caches in front of the service never give one client what another one asked for."""

import random
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import product
from pathlib import Path

import pytest

from served import Served, served
from servers import HOST, Server, proxy
from webservice import bearer, settings_for, without_clock, without_instance

CACHES = {
    # The least that makes it cache; the key leaves out every header, as by default.
    "nginx": """
        proxy_cache_path cache keys_zone=exports:1m;
        server {
            listen 80;
            location / {
                proxy_pass http://127.0.0.1:8000;
                proxy_cache exports;
                add_header X-Cache $upstream_cache_status always;
            }
        }
    """,
    # Varnish would not look up requests with Authorization or cookies.
    "varnish": """
        vcl 4.1;
        backend default { .host = "127.0.0.1:8000"; }
        sub vcl_recv { return (hash); }
        sub vcl_deliver {
            if (obj.hits > 0) { set resp.http.X-Cache = "HIT"; }
            else { set resp.http.X-Cache = "MISS"; }
        }
    """,
}
FORMATS = ("json", "env", "yaml", "markdown", "csv", "parquet")
TYPES = ("application/json", "text/html", "text/csv", "image/png")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("cached")
    with served(folder, prompt="x" * 3000, WORKERS="1") as running:
        yield running


@pytest.fixture(params=CACHES)
def cache(
    request: pytest.FixtureRequest, service: Served, tmp_path: Path
) -> Iterator[Server]:
    upstream = service.server.port
    config = CACHES[request.param]
    with proxy(request.param, config, upstream, tmp_path / "cache") as running:
        yield running


Said = tuple[int, str | None, str | None, bytes]


def said(port: int, path: str, fields: dict[str, str]) -> tuple[Said, str | None]:
    """Return what a client makes of the answer, and what the cache says of it."""
    with closing(HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        body = answer.read()
        if answer.headers["Content-Encoding"] is None:
            body = without_clock(without_instance(body))
        else:
            body = b"coded"  # a clock in it changes its bytes
        media_type, coding = answer.headers["Content-Type"], answer.headers
        kept = (answer.status, media_type, coding["Content-Encoding"], body)
        return kept, answer.headers["X-Cache"]


def test_every_client_gets_their_own_answer(service: Served, cache: Server) -> None:
    settings = settings_for(service.database.url)
    who = [
        bearer(settings, scopes=("export:best", "export:report", "export:runs")),
        bearer(settings, scopes=("export:best", "export:unredacted")),
        {"Authorization": "Bearer forged.forged.forged"},
        {},
    ]
    paths = [f"{service.path}?format={name}&reproducible=1" for name in FORMATS]
    paths.append(f"{service.path}?format=json&redact=off")
    codings: tuple[dict[str, str], ...] = ({}, {"Accept-Encoding": "gzip"})
    asked = [
        (path, token | coding) for path, token, coding in product(paths, who, codings)
    ]
    asked += [
        (service.path, token | {"Accept": media_type})
        for token, media_type in product(who, TYPES)
    ]
    asked += [("/experiments", token) for token in who]
    expected = [said(service.server.port, *row)[0] for row in asked]
    order = list(range(len(asked))) * 3
    random.Random(7).shuffle(order)  # noqa: S311  only an order

    for place in order:
        answer, looked_up = said(cache.port, *asked[place])
        assert answer == expected[place], asked[place][0]
        assert looked_up == "MISS"
