"""`open` shows in the browser what any tool wrote, and leaves nothing behind."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from cli.console import Console
from processes import wait_until

LINES = (
    {"type": "experiment", "name": "my search"},
    {"type": "run", "config": {"temperature": 0.5}, "scores": {"accuracy": 0.9}},
)
OTHER = ({"type": "experiment", "name": "another search"},)


@pytest.fixture
def file(bare: Console) -> Path:
    path = bare.directory / "results.ndjson"
    write(path, *LINES)
    return path


def write(path: Path, *lines: object) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def page(link: str) -> str:
    """Open the link as a browser does, and return the page that it leads to."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def left(bare: Console, pattern: str = "*") -> list[Path]:
    """Return what there is in the temporary folder."""
    return [*Path(bare.environ["TMPDIR"]).glob(pattern)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_link_shows_the_report_until_a_signal_leaves_nothing(
    bare: Console, file: Path, number: signal.Signals
) -> None:
    with bare.start("open", file.name, "--no-browser") as running:
        assert running.stdout is not None
        link = running.stdout.readline().decode().strip()
        assert "<title>my search: experiment report</title>" in page(link)
        running.send_signal(number)
        rest, said = running.communicate(timeout=60)
    assert (running.returncode, rest) == (0, b"")
    assert said.startswith(b"imported 1 experiment, 1 run\n")
    assert left(bare) == []
    assert list(bare.directory.iterdir()) == [file]


def test_the_browser_is_opened_at_the_list_of_several_experiments(
    bare: Console, file: Path
) -> None:
    write(bare.directory / "other.ndjson", *OTHER)
    told = bare.directory / "told"
    os.mkfifo(told)
    browser = bare.directory / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {told}\n')
    browser.chmod(0o755)
    bare.environ["BROWSER"] = str(browser)

    with bare.start("open", file.name, "other.ndjson") as running:
        shown = page(told.read_text().strip())
        running.terminate()
        running.communicate(timeout=60)

    assert "my search" in shown
    assert "another search" in shown
    assert left(bare) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_import_leaves_nothing(
    bare: Console, number: signal.Signals
) -> None:
    # Standard input stays open, so the import waits for more.
    with bare.start("open", "-", "--no-browser") as running:
        wait_until(lambda: left(bare, "*/*.db") != [])
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert running.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert b"Traceback" not in said
    assert left(bare) == []


def test_what_cannot_be_read_is_one_line_and_leaves_nothing(bare: Console) -> None:
    write(bare.directory / "broken.ndjson", *LINES, {"type": "run"})
    done = bare.run("open", "broken.ndjson")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"promptlooper-export: broken.ndjson:3: ")
    assert done.stderr.count(b"\n") == 1
    assert left(bare) == []
