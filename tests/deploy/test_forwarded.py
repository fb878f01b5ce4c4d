"""What clients and proxies say about where a request came from."""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest

from builders import experiment
from served import Served, served
from servers import HOST, PROXIES, ROOT, SHIPPED, proxy
from webservice import without_clock, without_instance

FORGED = {
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded_Prefix": "/evil",
    "X_Forwarded_Host": "evil.example",
    "X-Script-Name": "/evil",
    "Script-Name": "/evil",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "Forwarded": 'for=192.0.2.66;host="evil.example";proto=gopher',
}
VARYING = {"connection", "date", "repr-digest", "server", "x-request-id"}

Said = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module", params=["0", "1"])
def trusting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("forwarded")
    with served(folder, WORKERS="1", TRUSTED_PROXIES=request.param) as running:
        yield running


def said(port: int, path: str, fields: Mapping[str, str]) -> Said:
    """Ask, and return the answer without what differs from one to the next."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("GET", path, headers={**fields, "Host": "good.example"})
        response = connection.getresponse()
        body = without_clock(without_instance(response.read()))
    kept = {
        name.lower(): value
        for name, value in response.getheaders()
        if name.lower() not in VARYING
    }
    return response.status, kept, body


def paths(service: Served) -> list[tuple[str, str]]:
    """Return what to ask for, with its Accept: every answer that has links in it."""
    return [
        (service.path, "*/*"),
        (service.path, "image/png"),
        (f"{service.path}?format=no", "*/*"),
        (f"/experiments/{uuid4()}/export", "*/*"),
        ("/nowhere", "*/*"),
        ("/openapi.json", "*/*"),
        ("/experiments?limit=1", "*/*"),
    ]


@pytest.mark.parametrize("trusting", ["0"], indirect=True)
def test_without_trusted_proxies_no_field_changes_anything(trusting: Served) -> None:
    for path, accept in paths(trusting):
        fields = {**trusting.fields, "Accept": accept}
        port = trusting.server.port
        assert said(port, path, fields | FORGED) == said(port, path, fields)


@pytest.mark.parametrize("trusting", ["1"], indirect=True)
@pytest.mark.parametrize("name", PROXIES)
def test_our_proxies_let_no_client_say_where_it_comes_from(
    name: str, trusting: Served, tmp_path: Path
) -> None:
    config = SHIPPED[name]
    with proxy(name, config, trusting.server.port, tmp_path / name) as front:
        for path, accept in paths(trusting):
            fields = {**trusting.fields, "Accept": accept}
            honest = said(front.port, path, fields)
            assert said(front.port, path, fields | FORGED) == honest
            assert "evil" not in repr(honest)


@pytest.mark.parametrize("trusting", ["1"], indirect=True)
def test_links_begin_with_the_prefix_that_the_proxy_takes_off(
    trusting: Served, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    (location,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    config = f"server {{ listen 80; {location} }}"
    with ExitStack() as stack:
        front = stack.enter_context(
            proxy("nginx", config, trusting.server.port, tmp_path / "nginx")
        )
        path = f"/exports{trusting.path}"

        def ask(path: str, accept: str) -> Said:
            return said(front.port, path, {**trusting.fields, "Accept": accept})

        status, fields, _ = ask(path, "*/*")
        assert status == 200
        assert fields["content-location"] == f"{path}?format=json"
        assert ask(fields["content-location"], "*/*")[0] == 200

        status, fields, body = ask(path, "image/png")
        assert status == 406
        links = re.findall("<([^>]*)>", fields["link"])
        urls = [row["url"] for row in json.loads(body)["available"]]
        assert links == urls
        assert f"{path}?format=markdown" in urls
        for url in urls:
            assert ask(url, "*/*")[0] == 200
        assert json.loads(body)["type"] == "/exports/problems/not-acceptable"
        assert ask(json.loads(body)["type"], "*/*")[0] == 200

        trusting.database.load(experiment(name="another"))
        _, _, body = ask("/exports/experiments?limit=1", "*/*")
        following = json.loads(body)["next"]
        assert following.startswith("/exports/experiments?")
        assert ask(following, "*/*")[0] == 200

        _, _, body = ask("/exports/openapi.json", "*/*")
        assert json.loads(body)["servers"] == [{"url": "/exports"}]
