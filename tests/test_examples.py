"""Every example does what it says, and nothing when anything goes wrong."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from client.scripted import answer, saying
from faults.injector import close, injector
from served import Served, served
from servers import DEFAULT, HOST, PROXIES, ROOT, proxy
from webservice import without_clock

EXAMPLES = ROOT / "examples"
RUNNERS = {".sh": "sh", ".py": sys.executable, ".mjs": "node"}
SCRIPTS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in RUNNERS)
OLD = b"PROMPT=old\n"
BODY = b"PROMPT=hello\n"
CURRENT = 'ETag: "current"'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("examples")
    with served(folder, prompt="Be brief. " * 500, WORKERS="1") as running:
        yield running


def example(
    name: str, target: Path, url: str, token: str
) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    script = EXAMPLES / name
    return subprocess.run(
        [RUNNERS[script.suffix], script, target.name],
        cwd=target.parent,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(target.parent / ".home"),
            "EXPORT_URL": url,
            "EXPORT_TOKEN": token,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give a file with an old export, in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "best.env"
    path.write_bytes(OLD)
    return path


def beside(target: Path) -> set[str]:
    """Return what else is in the folder; .home is HTTPie's."""
    return {path.name for path in target.parent.iterdir()} - {target.name, ".home"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_saves_the_export(name: str, service: Served, target: Path) -> None:
    done = example(name, target, service.url(), service.token)
    assert done.returncode == 0, done.stderr
    fetched = target.read_bytes()
    assert fetched.startswith("# PromptLooper — Best config for: ".encode())
    assert b"PROMPT=" in fetched
    assert beside(target) <= {"best.env.etag"}

    again = example("python_client.py", target, service.url(), service.token)
    assert again.returncode == 0, again.stderr
    assert without_clock(target.read_bytes()) == without_clock(fetched)


@pytest.mark.parametrize("front", PROXIES)
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_works_behind_any_proxy(
    name: str, front: str, service: Served, target: Path, tmp_path: Path
) -> None:
    port = service.server.port
    with proxy(front, DEFAULT[front], port, tmp_path / "proxy") as between:
        done = example(name, target, service.url(between.port), service.token)
    assert done.returncode == 0, done.stderr
    assert b"PROMPT=" in target.read_bytes()
    assert target.read_bytes() != OLD


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_refusal_is_told_and_changes_nothing(
    name: str, service: Served, target: Path
) -> None:
    done = example(name, target, service.url(), "not.a.token")
    assert done.returncode != 0
    assert "401" in done.stderr
    # HTTPie shows no body of a download that it does not begin.
    assert name == "httpie.sh" or "This needs one valid token" in done.stderr
    assert target.read_bytes() == OLD
    assert beside(target) == set()


@pytest.mark.parametrize("after", [0, 300, 3000])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_cut_export_changes_nothing(
    name: str, after: int, service: Served, target: Path
) -> None:
    with injector(service.server.port) as between, between.armed(close, after):
        done = example(name, target, service.url(between.port), service.token)
    assert done.returncode != 0
    assert done.stderr
    assert target.read_bytes() == OLD
    assert beside(target) == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_redirect_is_not_followed(name: str, target: Path) -> None:
    with saying(answer(BODY)) as other:
        moved = answer(BODY, f"Location: {other.url}", status="302 Found")
        with saying(moved) as script:
            done = example(name, target, script.url, "a.b.c")
    assert done.returncode != 0
    assert target.read_bytes() == OLD
    assert other.requests == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_command_line_shows_the_token(
    name: str, target: Path, tmp_path: Path
) -> None:
    token = "eyJhbGciOi.looks-like-one." + tmp_path.name
    shown: list[str] = []
    with socket.create_server((HOST, 0)) as listener:

        def look() -> None:
            connection, _ = listener.accept()
            with connection:
                shown.extend(command_lines())

        looking = Thread(target=look)
        looking.start()
        url = f"http://{HOST}:{listener.getsockname()[1]}/experiments/1/export"
        done = example(name, target, url, token)
        looking.join()
    assert done.returncode != 0
    assert any(name in line for line in shown)
    assert not any(token in line for line in shown)


def command_lines() -> Iterator[str]:
    """Yield what `ps` shows of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text(errors="replace")
        except OSError:  # the process has ended
            continue


def test_ci_fetches_a_current_file_once(service: Served, target: Path) -> None:
    assert example("ci.sh", target, service.url(), service.token).returncode == 0
    fetched = target.stat()
    assert example("ci.sh", target, service.url(), service.token).returncode == 0
    assert target.stat() == fetched

    service.database.execute("UPDATE runs SET config = ?", '{"prompt": "new"}')
    assert example("ci.sh", target, service.url(), service.token).returncode == 0
    assert b"PROMPT=new" in target.read_bytes()


def test_ci_asks_by_the_tag_of_what_it_has(target: Path) -> None:
    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: "current"\r\n\r\n'
    said = answer(BODY, CURRENT), unchanged, answer(BODY, CURRENT)
    with saying(*said) as script:
        for _ in range(2):
            assert example("ci.sh", target, script.url, "a.b.c").returncode == 0
        target.unlink()
        assert example("ci.sh", target, script.url, "a.b.c").returncode == 0
    asked = ['If-None-Match: "current"' in request for request in script.requests]
    assert asked == [False, True, False]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n"
        + BODY
        + b"\r\n0\r\n\r\n",
        answer(BODY, "Content-Length: 13"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + BODY,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        answer(b"<h1>Bad Gateway</h1>", status="502 Bad Gateway"),
    ],
    ids=["HTTP/1.0", "chunked", "two lengths", "no digest", "204", "502"],
)
def test_ci_takes_nothing_but_a_proven_export(said: bytes, target: Path) -> None:
    with saying(said) as script:
        done = example("ci.sh", target, script.url, "a.b.c")
    assert done.returncode != 0
    assert "best.env is unchanged" in done.stderr
    assert target.read_bytes() == OLD
    assert beside(target) == set()


def test_the_page_of_examples_names_each() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"[{name}]({name})" not in page] == []
