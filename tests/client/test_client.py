"""What users' programs get from `promptlooper_export.client`."""

import subprocess
import sys
from email.utils import formatdate
from pathlib import Path

import pytest

from client.scripted import answer, digest, saying
from promptlooper_export.client import (
    Export,
    IncompleteError,
    RefusedError,
    download,
    fetch,
)

BODY = b"0123456789" * 100
STRONG = 'ETag: "v1"'
PLAIN = "Content-Type: text/plain; charset=utf-8"
REFUSAL = b'{"title": "No", "detail": "Because.", "status": 404}'
PROBLEM = "Content-Type: application/problem+json"
BUSY = answer(REFUSAL, PROBLEM, "Retry-After: 0", status="503 Busy")


def cut(whole: bytes, body_bytes: int) -> bytes:
    """Leave the head and this much of the body of an answer."""
    return whole[: whole.index(b"\r\n\r\n") + 4 + body_bytes]


def rest(offset: int) -> bytes:
    content_range = f"Content-Range: bytes {offset}-{len(BODY) - 1}/{len(BODY)}"
    return answer(
        BODY[offset:], STRONG, content_range, status="206 Partial", whole=BODY
    )


def test_an_export_comes_with_its_type_and_tag() -> None:
    with saying(answer(BODY, PLAIN, STRONG)) as script:
        url = f"{script.url}?top_n=3"
        export = fetch(url, token="t.o.k", format="env", options={"a b": 1})
    assert export == Export(body=BODY, media_type="text/plain", etag='"v1"')
    (asked,) = script.requests
    assert asked.startswith("GET /experiments/1/export?top_n=3&format=env&a+b=1 HTTP")
    assert "\r\nAuthorization: Bearer t.o.k\r\n" in asked


@pytest.mark.parametrize("size", [0, 1, 999])
def test_a_cut_body_is_an_error(size: int) -> None:
    with (
        saying(cut(answer(BODY, PLAIN), size)) as script,
        pytest.raises(IncompleteError, match=f"{size} of 1000 bytes came"),
    ):
        fetch(script.url, token="t")


def test_a_whole_stream_without_a_length_is_an_error() -> None:
    stream = f"HTTP/1.0 200 OK\r\nRepr-Digest: {digest(BODY)}\r\n\r\n".encode() + BODY
    with saying(stream) as script, pytest.raises(IncompleteError, match="no Content-L"):
        fetch(script.url, token="t")


@pytest.mark.parametrize("nothing", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n"])
def test_no_answer_is_an_error(nothing: bytes) -> None:
    with saying(nothing) as script, pytest.raises(IncompleteError, match="no answer"):
        fetch(script.url, token="t")


def test_a_closed_port_is_an_error() -> None:
    with saying() as script:
        pass
    with pytest.raises(IncompleteError, match="refused"):
        fetch(script.url, token="t")


def test_a_refusal_brings_its_problem_document() -> None:
    said = answer(REFUSAL, PROBLEM, status="404 Not Found")
    with saying(said) as script, pytest.raises(RefusedError) as caught:
        fetch(script.url, token="t")
    assert str(caught.value) == "404 No: Because."
    assert caught.value.problem["status"] == caught.value.status == 404


def test_a_page_of_a_proxy_is_no_refusal_of_the_service() -> None:
    page = answer(b"<h1>Bad Gateway</h1>", "Content-Type: text/html", status="502 Bad")
    with saying(page) as script, pytest.raises(IncompleteError, match="502"):
        fetch(script.url, token="t")


def test_a_negotiated_type_is_checked() -> None:
    with saying(answer(BODY, PLAIN), answer(BODY, PLAIN)) as script:
        export = fetch(script.url, token="t", media_type="text/plain")
        with pytest.raises(IncompleteError, match="application/json was asked for"):
            fetch(script.url, token="t", media_type="application/json")
    assert export.media_type == "text/plain"
    assert "\r\nAccept: text/plain\r\n" in script.requests[0]


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    now = answer(REFUSAL, f"Retry-After: {formatdate(usegmt=True)}", status="429 Later")
    with saying(BUSY, now, answer(BODY, PLAIN)) as script:
        assert fetch(script.url, token="t").body == BODY
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        ("Retry-After: 0", 4),
        ("Retry-After: 3600", 1),
        ("Retry-After: soon", 1),
        ("", 1),
    ],
)
def test_patience_has_an_end(after: str, asked: int) -> None:
    said = answer(REFUSAL, PROBLEM, *filter(None, [after]), status="503 Busy")
    with saying(*[said] * 5) as script, pytest.raises(RefusedError, match="503"):
        fetch(script.url, token="t")
    assert len(script.requests) == asked


def test_a_cached_export_is_returned_while_it_is_current() -> None:
    cached = Export(body=b"old", media_type="text/plain", etag='W/"v0"')
    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: W/"v0"\r\n\r\n'
    with saying(unchanged, answer(BODY, PLAIN, STRONG)) as script:
        assert fetch(script.url, token="t", cached=cached) is cached
        assert fetch(script.url, token="t", cached=cached).body == BODY
    assert '\r\nIf-None-Match: W/"v0"\r\n' in script.requests[0]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary"])
def test_no_redirect_carries_the_token_elsewhere(status: str) -> None:
    with saying(answer(BODY)) as other:
        moved = answer(b"", f"Location: {other.url}", status=status)
        with saying(moved) as script, pytest.raises(IncompleteError, match=status[:3]):
            fetch(script.url, token="t")
    assert other.requests == []


@pytest.mark.parametrize("token", ["", "a\n", "a b", "ä", "a\r\nX: y"])
def test_a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    with saying() as script, pytest.raises(ValueError, match="The token") as caught:
        fetch(script.url, token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/", "host/path"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        fetch(url, token="t")


def test_a_download_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "best.env"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with saying(answer(BODY, PLAIN)) as script:
        download(script.url, target, token="t", format="env")
    assert target.read_bytes() == BODY
    assert target.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize(
    "said",
    [
        cut(answer(BODY, PLAIN, 'ETag: W/"v1"'), 500),
        cut(answer(BODY, PLAIN), 500),
        cut(answer(BODY, PLAIN, STRONG), 0),
        answer(BODY, PLAIN, STRONG, whole=b"another"),
        answer(REFUSAL, PROBLEM, STRONG, status="404 Not Found"),
        b"",
    ],
)
def test_a_failed_download_leaves_the_old_file_alone(
    tmp_path: Path, said: bytes
) -> None:
    target = tmp_path / "best.env"
    target.write_bytes(b"old")
    with saying(said) as script, pytest.raises((IncompleteError, RefusedError)):
        download(script.url, target, token="t")
    assert target.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [target]


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    first = cut(answer(BODY, STRONG), 300)
    with saying(first, cut(rest(300), 200), BUSY, rest(500)) as script:
        for _ in range(2):
            with pytest.raises(IncompleteError):
                download(script.url, target, token="t")
            assert not target.exists()
        download(script.url, target, token="t")
    assert target.read_bytes() == BODY
    assert [*tmp_path.iterdir()] == [target]
    for asked, offset in zip(script.requests[1:], (300, 500, 500), strict=True):
        assert f"\r\nRange: bytes={offset}-\r\n" in asked
        assert '\r\nIf-Range: "v1"\r\n' in asked


@pytest.mark.parametrize(
    "changed",
    [
        [answer(BODY, 'ETag: "v2"')],
        [answer(b"", status="416 Range Not Satisfiable"), answer(BODY, STRONG)],
    ],
)
def test_a_changed_export_is_downloaded_anew(
    tmp_path: Path, changed: list[bytes]
) -> None:
    target = tmp_path / "runs.csv"
    before = cut(answer(b"other" * 100, STRONG), 300)
    with saying(before, *changed) as script:
        with pytest.raises(IncompleteError):
            download(script.url, target, token="t")
        download(script.url, target, token="t")
    assert target.read_bytes() == BODY
    assert [*tmp_path.iterdir()] == [target]


def test_a_rest_of_something_else_is_thrown_away(tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    before = cut(answer(b"x" * 1000, STRONG), 300)
    with saying(before, rest(300), answer(BODY, STRONG)) as script:
        for reason in ("300 of 1000", "digest"):
            with pytest.raises(IncompleteError, match=reason):
                download(script.url, target, token="t")
        download(script.url, target, token="t")
    assert target.read_bytes() == BODY


def test_a_large_download_takes_little_memory(tmp_path: Path) -> None:
    size = 64 << 20
    said = answer(bytes(size), STRONG)
    program = (
        "import re, sys; from promptlooper_export.client import download\n"
        "download(sys.argv[1], sys.argv[2], token='t')\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    target = tmp_path / "large"
    with saying(said) as script:
        done = subprocess.run(
            [sys.executable, "-c", program, script.url, target],
            capture_output=True,
            text=True,
            check=True,
        )
    assert target.stat().st_size == size
    assert int(done.stdout) < 48 << 10


def test_the_client_loads_nothing_that_is_not_in_python() -> None:
    program = (
        "import sys; import promptlooper_export.client\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - sys.stdlib_module_names - {'__main__'}))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "service")},
    )
    assert done.stdout.strip() == "['promptlooper_export']", done.stderr
