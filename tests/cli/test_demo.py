import json
import re
import signal
import socket
import subprocess
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
    """Return what a demo prints before it waits: three commands and a URL."""
    assert demo.stdout is not None
    return [demo.stdout.readline().strip() for _ in range(4)]


def pasted(command: bytes) -> bytes:
    """Run a printed command in a fresh shell."""
    return subprocess.run(
        ["sh", "-c", command + b" --fail --silent"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_printed_commands_work_and_a_signal_leaves_nothing(
    bare: Console, demo: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    best, env, report, url = printed(demo)
    for command in (best, env, report):
        assert re.fullmatch(
            rb'curl -H "Authorization: Bearer [\w.-]+" "http://127[^"|#]+"', command
        )
    winner = json.loads(pasted(best))
    assert winner["experiment_name"] == "pump-manual-assistant"
    assert winner["config"]["model"]["name"] == "qwen2.5-32b-instruct"
    assert b"PROMPT_FEW_SHOT" in pasted(env)
    assert pasted(report).startswith(b"#")
    assert pasted(b"curl " + url.removeprefix(b"Open "))
    demo.send_signal(number)
    rest, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert rest == b""
    assert (
        errors == b"Serving a made-up experiment until Ctrl-C. Try in another shell:\n"
    )
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
            best = printed(running)[0]
            found = PORT.search(best)
            assert found is not None
            assert found[1] != b"8000"
            assert json.loads(pasted(best))
            running.terminate()
            running.wait(timeout=60)
    assert running.returncode == 0


def test_the_environment_does_not_disturb_the_demo(bare: Console) -> None:
    with bare.start("demo", DATABASE_URL="nonsense", WORKERS="none") as running:
        assert json.loads(pasted(printed(running)[0]))
        running.terminate()
        running.wait(timeout=60)
    assert running.returncode == 0
