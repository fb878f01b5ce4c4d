"""The promises of the files around the code: documents, lock, image, CI."""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
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


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_named_make_target_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / ".ci" / "run"]
    named = re.findall(
        r"(?:^|`)make ([a-z]+)", "\n".join(map(Path.read_text, pages)), re.MULTILINE
    )

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


def test_a_skipped_test_fails_in_ci_only(tmp_path: Path) -> None:
    test = "import pytest\ndef test_skipped():\n    pytest.skip('no reason')\n"
    (tmp_path / "test_skipped.py").write_text(test)

    assert pytest_run(tmp_path, CI="") == 0
    assert pytest_run(tmp_path, CI="true") == 1
