"""An interrupted download goes on where it stopped, whatever stands in between."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest

from faults.injector import Injector, close, injector, reset
from promptlooper_export.client import IncompleteError, download, fetch
from served import Served, served
from servers import DEFAULT, PROXIES, SHIPPED, proxy

KINDS = {"default": DEFAULT, "shipped": SHIPPED}
WAYS = ["direct", *(f"{name} {kind}" for name in PROXIES for kind in KINDS)]
STRONG: dict[str, dict[str, str | int]] = {"csv": {}, "markdown": {"reproducible": 1}}
"""Formats, and the options with which they have a strong tag."""

WORDS = " ".join(str(number**3 % 999_983) for number in range(20_000))


@dataclass(frozen=True)
class Way:
    """A way to the export, cut where a test likes."""

    service: Served
    injector: Injector

    @property
    def url(self) -> str:
        return self.service.url(self.injector.port)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("resume")
    with served(folder, prompt=WORDS, WORKERS="1") as running:
        yield running


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """Choose the same places for a test each time, others for other tests."""
    return Random(request.node.name)  # noqa: S311  nothing is secret


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest, service: Served, tmp_path: Path
) -> Iterator[Way]:
    name, _, kind = request.param.partition(" ")
    port = service.server.port
    with ExitStack() as stack:
        if kind:
            front = proxy(name, KINDS[kind][name], port, tmp_path / "proxy")
            port = stack.enter_context(front).port
        yield Way(service, stack.enter_context(injector(port)))


def interrupted(way: Way, format_: str, target: Path, after: int) -> bool:
    """Download by our client, cut after so many bytes; say whether that was noticed."""
    strike = (close, reset)[after % 2]
    try:
        with way.injector.armed(strike, after):
            download(
                way.url,
                target,
                token=way.service.token,
                format=format_,
                options=STRONG[format_],
            )
    except IncompleteError:
        return True
    return False


@pytest.mark.parametrize("format_", STRONG)
def test_our_client_goes_on_until_it_has_the_whole(
    way: Way, format_: str, tmp_path: Path, random: Random
) -> None:
    whole = fetch(
        way.url, token=way.service.token, format=format_, options=STRONG[format_]
    ).body
    target = tmp_path / "export"
    for _ in range(5):  # each a seventh at most: something is left for the last one
        assert interrupted(
            way, format_, target, random.randrange(2000, len(whole) // 7)
        )
        assert not target.exists()
    assert not interrupted(way, format_, target, 2 * len(whole))
    assert target.read_bytes() == whole


def curl(way: Way, target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = f"{way.url}?format=csv"
    return subprocess.run(
        ["curl", "-fsS", "--header", "@-", "--output", target, *arguments, url],
        input=f"Authorization: Bearer {way.service.token}\nAccept-Encoding: identity",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_curl_goes_on_until_it_has_the_whole(
    way: Way, tmp_path: Path, random: Random
) -> None:
    whole, target, tag = (tmp_path / name for name in ("whole", "runs.csv", "tag"))
    assert curl(way, whole).returncode == 0
    size = whole.stat().st_size
    with way.injector.armed(close, random.randrange(2000, size)):
        assert curl(way, target, "--etag-save", str(tag)).returncode == 18
    assert 0 < target.stat().st_size < size

    condition = f"If-Range: {tag.read_text().strip()}"
    done = curl(way, target, "--continue-at", "-", "--header", condition)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == whole.read_bytes()


def test_a_client_that_names_no_coding_gets_a_length_and_ranges(
    way: Way, request: pytest.FixtureRequest
) -> None:
    url = urlsplit(f"{way.url}?format=markdown&reproducible=1")
    with closing(HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.putrequest(
            "GET", f"{url.path}?{url.query}", skip_accept_encoding=True
        )
        connection.putheader("Authorization", f"Bearer {way.service.token}")
        connection.endheaders()
        response = connection.getresponse()
        length = len(response.read())
    # Caddy as it comes asks for gzip then, unpacks it and sends a stream.
    if "caddy default" not in request.node.name:
        assert response.headers["Content-Length"] == str(length)
        assert response.headers["Accept-Ranges"] == "bytes"


def test_curl_joins_nothing_that_has_changed(way: Way, tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    with way.injector.armed(close, 5000):
        assert curl(way, target).returncode == 18
    came = target.read_bytes()

    done = curl(way, target, "--continue-at", "-", "--header", 'If-Range: "older"')
    assert done.returncode == 33  # the server sends all of it, not the rest
    assert target.read_bytes() == came
