"""The promises of the files around the code: documents, lock, image, CI."""

import os
import re
import sqlite3
import subprocess
import sys
from configparser import ConfigParser
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from promptlooper_export.plugin import Best

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+) .*\\\n    --hash=sha256:", re.MULTILINE)


def requirements() -> dict[str, list[Requirement]]:
    """Return what is required, by extra; the core is under the empty name."""
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = {
        "": parser["options"]["install_requires"],
        **parser["options.extras_require"],
    }
    return {
        extra: [
            Requirement(line)
            for line in text.strip().splitlines()
            if not line.startswith("%")
        ]
        for extra, text in lines.items()
    }


def runtime_requirements() -> list[Requirement]:
    every = requirements()
    return [
        requirement
        for extra in every.keys() - {"lint", "test", "dev"}
        for requirement in every[extra]
    ]


def examples(language: str) -> list[str]:
    """Return the code blocks of CONTRIBUTING in one language."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def pytest_run(folder: Path, **environment: str) -> int:
    """Run the tests of a folder with our conftest; return the exit code."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "--rootdir", folder, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), **environment},
        capture_output=True,
        check=False,
    ).returncode


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_named_make_target_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = [path.read_text() for path in (*PAGES, ROOT / ".ci" / "run")]
    named = re.findall(r"(?:^|`|\$ )make ([a-z]+)", "\n".join(texts), re.MULTILINE)

    assert {"demo", "test", "lint"} <= set(named) <= set(targets)


def test_the_lock_fulfils_every_runtime_requirement() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(LOCKED.findall(lock))
    unfulfilled = [
        str(requirement)
        for requirement in runtime_requirements()
        if versions.get(canonicalize_name(requirement.name), "none")
        not in requirement.specifier
    ]

    assert unfulfilled == []


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = {name.lower() for name in re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)}
    used = {
        canonicalize_name(requirement.name)
        for group in requirements().values()
        for requirement in group
    }

    assert rows == used


def test_every_test_that_security_names_exists() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    missing = [
        f"{file}::{function}"
        for file, function in named
        if f"def {function}(" not in (ROOT / "tests" / file).read_text(encoding="utf-8")
    ]

    assert len(named) > 40
    assert missing == []


def test_the_format_in_contributing_works() -> None:
    source = examples("python")[0]
    module: dict[str, Any] = {}
    exec(compile(source, "properties.py", "exec"), module)  # noqa: S102  our own page
    best = Best(
        experiment_name="demo",
        experiment_id=UUID(int=1),
        exported_at=datetime(2026, 1, 1, tzinfo=UTC),
        weighted_score=0.9,
        scores={"accuracy": 0.9},
        run_id=UUID(int=2),
        config_hash="",
        config={"model": {"name": "small"}, "top_k": 5},
    )

    rendered = b"".join(module["PROPERTIES"].render(best))

    assert rendered == b"model.name = small\ntop_k = 5\n"


def test_the_migration_in_contributing_goes_up_and_down(tmp_path: Path) -> None:
    up, down = examples("sql")
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        connection.executescript(up)
        connection.execute("INSERT INTO export_note VALUES ('id', 'text')")
        connection.executescript(down)

        assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []


def test_a_skipped_test_fails_in_ci_only(tmp_path: Path) -> None:
    test = "import pytest\ndef test_skipped():\n    pytest.skip('no reason')\n"
    (tmp_path / "test_skipped.py").write_text(test)

    assert pytest_run(tmp_path, CI="") == 0
    assert pytest_run(tmp_path, CI="true") == 1
