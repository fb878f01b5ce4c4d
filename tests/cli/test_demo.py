import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.console import Console

PORT = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


@pytest.fixture
def demo(bare: Console) -> Iterator[subprocess.Popen[bytes]]:
    with bare.start("demo") as running:
        yield running


def printed(demo: subprocess.Popen[bytes]) -> list[bytes]:
    """Return what a demo prints before it waits: a link and five lines for a shell."""
    assert demo.stdout is not None
    return [demo.stdout.readline().strip() for _ in range(6)]


def pasted(*lines: bytes) -> bytes:
    """Run printed lines in a fresh shell; the last is a curl."""
    return subprocess.run(
        ["sh", "-c", b"\n".join(lines) + b" --fail --silent"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout


def signed_in(link: bytes) -> str:
    """Open the link as a browser does, and return the page that it leads to."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link.decode(), timeout=60) as page:
        text: str = page.read().decode()
        return text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_printed_works_and_a_signal_leaves_nothing(
    bare: Console, demo: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    link, address, token, best, env, report = printed(demo)
    for command in (best, env, report):
        assert re.fullmatch(
            rb'curl -H "Authorization: Bearer \$EXPORT_TOKEN" "\$EXPORT_URL[^"|#]*"',
            command,
        )
    winner = json.loads(pasted(address, token, best))
    assert winner["experiment_name"] == "pump-manual-assistant"
    assert winner["config"]["model"]["name"] == "qwen2.5-32b-instruct"
    assert b"PROMPT_FEW_SHOT" in pasted(address, token, env)
    assert pasted(address, token, report).startswith(b"#")
    assert "pump-manual-assistant" in signed_in(link)
    demo.send_signal(number)
    rest, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert rest == b""
    assert errors.count(b"\n") == 3
    assert list(bare.directory.iterdir()) == []
    assert list(Path(bare.environ["TMPDIR"]).iterdir()) == []


def test_a_port_that_is_taken_is_left_alone(bare: Console) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:  # another program's, which is as good
            taken.close()
        with bare.start("demo") as running:
            link = printed(running)[0]
            found = PORT.search(link)
            assert found is not None
            assert found[1] != b"8000"
            assert signed_in(link)
            running.terminate()
            running.wait(timeout=60)
    assert running.returncode == 0


def test_the_environment_does_not_disturb_the_demo(bare: Console) -> None:
    with bare.start("demo", DATABASE_URL="nonsense", WORKERS="none") as running:
        assert signed_in(printed(running)[0])
        running.terminate()
        running.wait(timeout=60)
    assert running.returncode == 0
