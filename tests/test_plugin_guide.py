"""What docs/plugins.md shows works."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from promptlooper_export.format import COMMON_PARAMETERS
from promptlooper_export.sandbox.launcher import ENVIRONMENT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_guide_makes_a_format_that_conforms(tmp_path: Path) -> None:
    module, test, round_trip = blocks("python")
    project = tomllib.loads(blocks("toml")[0])["project"]
    points = project["entry-points"]["promptlooper_export.formats"]
    information = tmp_path / "promptlooper_lines-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {project['name']}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[promptlooper_export.formats]\n"
        + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    (tmp_path / "promptlooper_lines.py").write_text(module)
    (tmp_path / "test_lines.py").write_text(test)
    (tmp_path / "test_round_trip.py").write_text(round_trip)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_the_guide_types(tmp_path: Path) -> None:
    module, test, round_trip = blocks("python")
    (tmp_path / "promptlooper_lines.py").write_text(module)
    (tmp_path / "test_lines.py").write_text(test)
    (tmp_path / "test_round_trip.py").write_text(round_trip)
    roots = (ROOT / "service", ROOT / "formats", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "."],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MYPYPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_guide_names_what_the_code_does() -> None:
    assert [name for name in COMMON_PARAMETERS if f"`{name}`" not in PAGE] == []
    assert [name for name in ENVIRONMENT if f"`{name}`" not in PAGE] == []
