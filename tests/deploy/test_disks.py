"""Disks that take no more, or nothing at all, as the kernel has them."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.store.migrate import migrate

COMMAND = Path(sys.executable).with_name("promptlooper-export")


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """The beginning of a command that may mount, which nobody else sees."""
    is_root = os.geteuid() == 0
    found = ["unshare", *([] if is_root else ["--user", "--map-root-user"]), "--mount"]
    if subprocess.run([*found, "true"], check=False, capture_output=True).returncode:
        pytest.skip("neither root nor user namespaces here")
    return found


@pytest.fixture
def database(tmp_path: Path) -> Database:
    folder = tmp_path / "data"
    folder.mkdir()
    made = Database(kind="sqlite", url=f"sqlite:///{folder / 'runs.db'}")
    migrate(made.url, create=True)
    return made


def in_mounts(
    alone: list[str], script: str, *arguments: object, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a script; its arguments come after the command of the service."""
    return subprocess.run(
        [*alone, "sh", "-ec", script, "sh", COMMAND, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            **{f"PROMPTLOOPER_{name}": value for name, value in settings.items()},
        },
    )


def test_a_log_that_a_crashed_runner_left_is_read_on_a_read_only_mount(
    alone: list[str], database: Database, tmp_path: Path
) -> None:
    database.load(experiment(run({"a": 0.5}), name="before"))
    file = tmp_path / "data" / "runs.db"
    with closing(sqlite3.connect(file)) as runner:
        runner.execute("UPDATE experiments SET name = 'in the log'")
        runner.commit()
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for name in ("runs.db", "runs.db-wal"):
            shutil.copyfile(file.with_name(name), crashed / name)
    done = in_mounts(
        alone,
        'mount --bind "$2" "$2"; mount -o remount,ro,bind "$2"; "$1" list',
        crashed,
        DATABASE_URL=f"sqlite:///{crashed / 'runs.db'}",
    )
    assert done.returncode == 0, done.stderr
    assert "in the log" in done.stdout
    assert sorted(path.name for path in crashed.iterdir()) == ["runs.db", "runs.db-wal"]


def test_an_export_that_a_full_disk_does_not_hold_leaves_nothing(
    alone: list[str], database: Database, tmp_path: Path
) -> None:
    prompt = os.urandom(1 << 20).hex()
    database.load(experiment(run({"a": 0.5}, config={"p": prompt}), name="large"))
    spool = tmp_path / "spool"
    spool.mkdir()
    done = in_mounts(
        alone,
        'mount -t tmpfs -o size=1m tmpfs "$2"; "$1" export large -f json -o "$3" '
        '|| status=$?; ls -A "$2"; exit "$status"',
        spool,
        tmp_path / "large.json",
        DATABASE_URL=database.url,
        SPOOL_DIR=str(spool),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "large.json").exists()


def test_a_read_only_root_needs_one_directory_to_write_to(
    alone: list[str], database: Database, tmp_path: Path
) -> None:
    database.load(experiment(run({"a": 0.5}), name="one"))
    root, spool = tmp_path / "root", tmp_path / "spool"
    root.mkdir()
    spool.mkdir()
    done = in_mounts(
        alone,
        'mount --rbind / "$2"; mount -o remount,ro,bind "$2"; '
        'chroot "$2" "$1" list && exit 9; '
        'mount -t tmpfs tmpfs "$2$3"; '
        'PROMPTLOOPER_SPOOL_DIR="$3" chroot "$2" "$1" export one -f json',
        root,
        spool,
        DATABASE_URL=database.url,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["experiment_name"] == "one"
    [refusal] = done.stderr.splitlines()
    assert refusal.endswith("set PROMPTLOOPER_SPOOL_DIR.")
