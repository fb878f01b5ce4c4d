"""Sources on the web are downloaded whole, within limits, over trusted ways."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result

from cli.console import run_here
from promptlooper_export.importers import downloads

DATA = Path(__file__).parents[1] / "data" / "importers"
FILE = (DATA / "promptfoo" / "results.csv").read_bytes()

Import = Callable[[str], Result]


class Web(BaseHTTPRequestHandler):
    """Answers as the path asks for."""

    def do_GET(self) -> None:
        match self.path.split("?")[0].strip("/").split("/"):
            case ["whole", _]:
                self.answer(200, FILE)
            case ["cut", _]:
                self.answer(200, FILE[:-1], length=len(FILE))
            case ["large", _]:
                self.answer(200, b"", length=downloads.LARGEST_DOWNLOAD + 1)
            case ["endless", _]:
                self.answer(200, FILE, length=None)
            case ["to", "ftp"]:
                self.answer(302, location="ftp://127.0.0.1/results.csv")
            case ["to", "file"]:
                self.answer(302, location="file:///etc/hostname")
            case ["to", "loop"]:
                self.answer(302, location="/to/loop")
            case ["to", name]:
                self.answer(302, location=f"/whole/{name}")
            case [code, *_]:
                self.answer(int(code))

    def answer(
        self,
        code: int,
        body: bytes = b"",
        *,
        length: int | None = -1,
        location: str | None = None,
    ) -> None:
        self.send_response(code)
        if location is not None:
            self.send_header("Location", location)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body or b"x" * (length is not None and length > 0))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def import_(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Import]:
    """Import what is at a path of the web; nothing may be left of it."""
    left = tmp_path / "temporary"
    left.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(left))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    run = partial(run_here, url=f"sqlite:///{tmp_path}/imported.db")
    yield lambda path: run("import", path if "://" in path else f"http://{web}{path}")
    assert list(left.iterdir()) == []


@pytest.mark.parametrize("path", ["/whole/results.csv", "/to/results.csv"])
def test_a_file_on_the_web_is_imported_as_the_same_file_is(
    import_: Import, path: str, tmp_path: Path
) -> None:
    done = import_(path)
    assert (done.exit_code, done.stdout) == (0, "")
    first, *_, last = done.stderr.splitlines()
    assert first == f"downloaded results.csv: {len(FILE):,} bytes"
    assert last == "imported 1 experiment, 6 runs"
    # The ids are derived from the file's name, so it changes nothing.
    (tmp_path / "results.csv").write_bytes(FILE)
    again = import_(path)
    assert "6 unchanged" in again.stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/404/a.csv", "answered 404 Not Found; check the address"),
        ("/403/a.csv", "answered 403 Forbidden; download it yourself"),
        ("/cut/a.csv", f"ended after {len(FILE) - 1} of {len(FILE)} bytes; try again"),
        ("/large/a.csv", "has more than 1073741824 bytes; download it yourself"),
        ("/to/ftp", "leads from http to ftp, which is not followed"),
        ("/to/file", "answered 302 Found; check the address"),
        ("/to/loop", "answered 302 Found; check the address"),
        ("/404/a b\n.csv", "answered 404 Not Found; check the address"),
        ("http://127.0.0.1:1/a.csv", "cannot be downloaded: [Errno 111] Connection"),
        ("http://me:hidden@127.0.0.1/a.csv", "is not sent; download it yourself"),
        ("http://[::1/a.csv", "is not a web address: "),
        ("http:///a.csv", "cannot be downloaded: no host given"),
    ],
)
def test_what_cannot_be_downloaded_is_one_line_without_secrets(
    import_: Import, path: str, said: str, tmp_path: Path
) -> None:
    done = import_(f"{path}?signature=hidden")
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr
    assert not (tmp_path / "imported.db").exists()


def test_a_body_of_unknown_length_ends_at_the_limit(
    import_: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LARGEST_DOWNLOAD", len(FILE) - 1)
    done = import_("/endless/results.csv")
    assert f"has more than {len(FILE) - 1} bytes" in done.stderr
    monkeypatch.setattr(downloads, "LARGEST_DOWNLOAD", len(FILE))
    assert import_("/endless/results.csv").exit_code == 0


@pytest.mark.parametrize("path", ["/whole/..%2F..%2Fa%00b.csv", "/whole/.csv"])
def test_the_name_of_a_download_stays_in_its_folder(import_: Import, path: str) -> None:
    assert import_(path).exit_code == 0


def test_a_server_without_a_valid_certificate_is_not_trusted(
    import_: Import, web: str
) -> None:
    done = import_(f"https://{web}/whole/results.csv")
    assert done.exit_code == 1
    assert "cannot be downloaded: [SSL" in done.stderr
