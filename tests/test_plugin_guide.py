"""What docs/plugins.md shows works."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from venv import EnvBuilder

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.format import COMMON_PARAMETERS
from promptlooper_export.sandbox.launcher import ENVIRONMENT
from promptlooper_export.store.migrate import migrate

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


PROGRAMS = {
    "pip": ["-m", "pip"],
    "pytest": ["-m", "pytest", "--quiet"],
    "promptlooper-export": [
        "-c",
        "from promptlooper_export.cli.main import main; main()",
    ],
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the guide's files, with the round trip beside them."""
    folder = tmp_path_factory.mktemp("guide")
    module, test, round_trip = blocks("python")
    (folder / "pyproject.toml").write_text(blocks("toml")[0])
    (folder / "promptlooper_lines.py").write_text(module)
    (folder / "test_lines.py").write_text(test)
    (folder / "test_round_trip.py").write_text(round_trip)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment that has what this one has."""
    folder = tmp_path_factory.mktemp("environment")
    EnvBuilder().create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    # With its .pth files, by one of which the project itself may be installed.
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    file = tmp_path_factory.mktemp("database") / "guide.db"
    made = Database(kind="sqlite", url=f"sqlite:///{file}")
    migrate(made.url, create=True)
    config: JSON = {"temperature": 0.5}
    made.load(experiment(run({"accuracy": 1}, config=config), name="Support answers"))
    return made


def test_the_commands_of_the_guide_work_as_they_are_typed(
    package: Path, python: Path, database: Database
) -> None:
    typed = re.findall(r"^\$ (.*)$", blocks("console")[0], re.MULTILINE)
    assert [line.split()[0] for line in typed] == [
        "pip", "pytest", "promptlooper-export", "promptlooper-export",
    ]  # fmt: skip
    outputs = []
    for line in typed:
        program, *arguments = shlex.split(line)
        done = subprocess.run(
            [python, *PROGRAMS[program], *arguments],
            cwd=package,
            env={
                "PATH": os.environ["PATH"],
                "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of: no isolation
                "PROMPTLOOPER_DATABASE_URL": database.url,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)

    _, tested, listed, exported = outputs
    assert "skipped" not in tested
    assert "lines " in listed
    assert exported == "temperature: 0.5\n"


def test_the_guide_types(package: Path, tmp_path: Path) -> None:
    roots = (ROOT / "service", ROOT / "formats", package)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "."],
        cwd=package,
        env={"PATH": os.environ["PATH"], "MYPYPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_guide_names_what_the_code_does() -> None:
    assert [name for name in COMMON_PARAMETERS if f"`{name}`" not in PAGE] == []
    assert [name for name in ENVIRONMENT if f"`{name}`" not in PAGE] == []
