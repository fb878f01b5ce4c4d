"""A source that nobody can import is described, with what to do about it."""

import gzip
import os
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from cli.console import run_here
from promptlooper_export.store.migrate import migrate

Make: TypeAlias = Callable[[Path], object]


def tables(*names: str) -> Make:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 1")
            for name in names:
                database.execute(f"CREATE TABLE {name} (a)")

    return make


def archive(*names: str) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, "")

    return make


def holding(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def folder(path: Path) -> None:
    path.mkdir()
    for name in "fedcba":
        (path / name).touch()


KINDS: dict[str, tuple[Make, str]] = {
    "nothing": (lambda _: None, "No such file or directory"),
    "a pipe": (os.mkfifo, "is neither a file nor a folder; write it to a file first"),
    "a device": (
        lambda path: path.symlink_to("/dev/zero"),
        "is neither a file nor a folder",
    ),
    "an empty file": (holding(b""), "looks like an empty file"),
    "an empty folder": (Path.mkdir, "looks like an empty folder"),
    "a folder": (folder, "a folder with a, b, c, d, e and 1 more"),
    "SQLite": (tables("b", "a"), "a database of no known tool with the tables a, b"),
    "empty SQLite": (tables(), "a database without tables"),
    "our own": (
        lambda path: migrate(f"sqlite:///{path}", create=True),
        "a database of PromptLooper; nothing needs to be imported: set PROMPTLOOPER_D",
    ),
    "ZIP": (archive("a.txt"), "a ZIP archive with a.txt; unpack it"),
    "empty ZIP": (archive(), "an empty ZIP archive"),
    "XLSX": (archive("[Content_Types].xml"), "save its table as CSV"),
    "gzip": (holding(gzip.compress(b"x")), "compressed with gzip; unpack it"),
    "pickle": (holding(pickle.dumps([1])), "a Python pickle; it is never loaded"),
    "binary": (holding(b"x\0"), "binary data"),
    "text": (holding(b"hello\nyou"), "text that begins with 'hello'"),
    "no text": (holding(b"\n \n"), "text that begins with ''"),
    "a table": (holding(b"q,r,s\r1,2,3"), "a table with the columns q, r, s; name"),
    "JSON": (
        holding(b'{\n "a": 1, "b": []}'),
        "JSON with the members a, b; docs/inter",
    ),
    "JSON, a list": (holding(b'[{"a": 1}]'), "a JSON array with the members a; docs"),
    "JSON, a number": (holding(b"[1]"), "looks like a JSON array; docs/interch"),
    "JSON Lines": (holding(b'{"a":1}\n{"a":2}'), "JSON Lines with the members a"),
    "cut JSON": (holding(b'{"a": 1,'), "JSON that is not whole, or not valid"),
    "deep JSON": (holding(b"[" * 99_999), "JSON that is not whole, or not valid"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_source_looks_like_is_said_in_a_line(tmp_path: Path, kind: str) -> None:
    make, said = KINDS[kind]
    path = tmp_path / "source"
    make(path)

    done = run_here("import", str(path), url=f"sqlite:///{tmp_path}/never.db")

    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    is_file = path.is_file() or path.is_dir()
    assert ("docs/importing.md" in done.stderr) == is_file
    assert not (tmp_path / "never.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:hidden@host/runs", "mysql://host/runs is not a database that can"),
        ("sqlite:///nowhere/at/all.db", "nowhere/at/all.db"),
    ],
)
def test_a_url_that_cannot_be_read_is_named_without_its_password(
    tmp_path: Path, url: str, said: str
) -> None:
    done = run_here("import", url, url=f"sqlite:///{tmp_path}/never.db")

    assert done.exit_code == 1
    assert said in done.stderr
    assert "hidden" not in done.stderr
    assert not (tmp_path / "never.db").exists()
