"""`-o` with an address of fsspec."""

import io
import json
import sys
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from click.testing import Result
from fsspec.implementations.memory import MemoryFile
from fsspec.registry import known_implementations

from cli.console import run_here

RUN = {"type": "run", "config": {"top_k": 4}, "scores": {"accuracy": 0.75}}


def fail_midway(file: io.BytesIO, data: bytes) -> int:
    io.BytesIO.write(file, data[:5])
    msg = "no credentials for memory://ada:hunter2hunter2@host\nand more"
    raise LookupError(msg)


@pytest.fixture
def source(tmp_path: Path) -> str:
    file = tmp_path / "search.ndjson"
    lines = ({"type": "experiment", "name": "my search"}, RUN)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


@pytest.fixture
def address() -> str:
    """An address that no other test writes to."""
    return f"memory://{uuid4()}/best.json"


def export(source: str, output: str, *arguments: str) -> Result:
    return run_here("export", source, "-o", output, "--reproducible", *arguments)


def test_the_bytes_are_those_of_a_file(
    source: str, address: str, tmp_path: Path
) -> None:
    export(source, str(tmp_path / "best.json"))

    done = export(source, address)

    assert done.exit_code == 0, done.stderr
    written = fsspec.open(address).open().read()
    assert written == (tmp_path / "best.json").read_bytes()
    assert f"wrote {address} ({len(written)} bytes, json)" in done.stderr


def test_a_failed_upload_leaves_what_was_there_and_says_why(
    source: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(source, address)
    before = fsspec.open(address).open().read()
    monkeypatch.setattr(MemoryFile, "write", fail_midway)

    done = export(source, address, "-f", "yaml")

    assert done.exit_code == 1
    assert done.stderr == (
        f"promptlooper-export: {address} cannot be used: LookupError: no "
        "credentials for memory://ada:[redacted]@host\n"
    )
    assert fsspec.open(address).open().read() == before


def test_a_file_of_this_machine_is_written_as_without_its_address(
    source: str, tmp_path: Path
) -> None:
    file = tmp_path / "best.json"

    assert export(source, f"file://{file}", "--unredacted").exit_code == 0

    assert json.loads(file.read_bytes())["config"] == {"top_k": 4}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_converted_file_may_go_to_an_address(source: str, address: str) -> None:
    done = run_here("convert", source, "-o", address)

    assert done.exit_code == 0, done.stderr
    assert json.loads(fsspec.open(address).open().read())["config"] == {"top_k": 4}


def test_what_must_be_installed_is_said_before_the_export(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"class": "unheard.Of", "err": "Install unheard to access it"}
    monkeypatch.setitem(known_implementations, "unheard", row)
    assert refusal("missing", "unheard://bucket/best.json") == (
        "unheard:// cannot be written to here: Install unheard to access it"
    )
    assert refusal("missing", "nonsense://bucket/best.json") == (
        "nonsense:// cannot be written to here: Protocol not known: nonsense"
    )

    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert refusal(source, "s3://bucket/best.json") == (
        "s3:// needs a library that is not installed here: pip install "
        "'promptlooper-export[fsspec]'"
    )


def refusal(source: str, output: str) -> str:
    """Return the line with which the command line is refused."""
    done = export(source, output)
    assert done.exit_code == 2
    return done.stderr.removeprefix("promptlooper-export: ").removesuffix("\n")
