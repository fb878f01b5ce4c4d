"""The shape that the code promises to keep, watched by machine."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.metadata import EntryPoint
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    ".ci",
    "bench",
    "deploy",
    "docs",
    "examples",
    "formats",
    "migrations",
    "service",
    "tests",
)
PACKAGES = {
    "promptlooper_export": ROOT / "service" / "promptlooper_export",
    "promptlooper_export.migrations": ROOT / "migrations",
    "promptlooper_formats": ROOT / "formats" / "promptlooper_formats",
}
MADE = {".pyc", ".db", ".db-shm", ".db-wal"}
UNWRITTEN = {"node_modules", ".hypothesis"}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50

# A stranger's code may raise anything; elsewhere a broad except hides our own mistakes.
GUARDS = {"registry.py", "fork_server.py", "export.py", "addresses.py"}
BROAD = {"Exception", "BaseException"}

# Whose machine a file was written on, and which package index was used there, is nobody
# else's business and works nowhere else.
PLACES = re.compile(
    r"(?<![\w.~-])/(?:home|root|Users|work)/\w"
    r"|(?:pypi|pythonhosted|npmjs|crates)\.(?:org|com|io)"
)


def setup(section: str) -> dict[str, str]:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return dict(parser[section])


def entry_points() -> Iterator[EntryPoint]:
    for group, lines in setup("options.entry_points").items():
        for line in lines.strip().splitlines():
            name, _, value = line.partition(" = ")
            yield EntryPoint(name=name, value=value, group=group)


def files() -> Iterator[Path]:
    """Yield what people wrote, leaving out what tools made."""
    for path in chain(
        ROOT.iterdir(), *((ROOT / folder).rglob("*") for folder in FOLDERS)
    ):
        if (
            path.is_file()
            and path.suffix not in MADE
            and UNWRITTEN.isdisjoint(path.parts)
        ):
            yield path


def modules() -> list[Path]:
    return sorted(path for path in files() if path.suffix == ".py")


def is_test(path: Path) -> bool:
    return path.is_relative_to(ROOT / "tests")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_inwards() -> None:
    # A process of its own: import-linter reconfigures logging and sys.path.
    linter = "from importlinter.cli import lint_imports_command as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", linter, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_installed() -> None:
    found = {
        ".".join((name, *marker.parent.relative_to(folder).parts))
        for name, folder in PACKAGES.items()
        for marker in folder.rglob("__init__.py")
    }

    assert sorted(found) == setup("options")["packages"].split()


def test_every_file_beside_the_code_is_installed() -> None:
    patterns = setup("options.package_data")
    left_out = [
        name_of(path)
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
        if not any(
            fnmatch(str(path.relative_to(folder)), pattern)
            for pattern in patterns.get(name, "").split()
        )
    ]

    assert left_out == []


@pytest.mark.parametrize("point", [*entry_points()], ids=lambda point: point.value)
def test_an_entry_point_leads_somewhere(point: EntryPoint) -> None:
    assert point.load() is not None


def test_the_page_of_the_architecture_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.]+\.(?:py|cfg))`", page))
    service = ROOT / "service" / "promptlooper_export"

    assert len(named) > 20
    assert [
        name
        for name in sorted(named)
        if not (service / name).is_file() and not (ROOT / name).is_file()
    ] == []


def test_a_module_can_be_read_at_one_sitting() -> None:
    long = [
        name_of(path)
        for path in modules()
        if not is_test(path)
        if path.read_text(encoding="utf-8").count("\n") > LONGEST_MODULE
    ]

    assert long == []


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in modules()
        if not is_test(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]

    assert long == []


def test_only_guards_of_strangers_catch_everything() -> None:
    swallowed = [
        f"{name_of(path)}:{handler.lineno}"
        for path in modules()
        if path.name not in GUARDS and not is_test(path)
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(handler, ast.ExceptHandler)
        if catches_everything(handler) and not raises_again(handler)
    ]

    assert swallowed == []


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(
        isinstance(node, ast.Name) and node.id in BROAD
        for node in ast.walk(handler.type)
    )


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_no_file_names_somebodys_machine() -> None:
    named = [
        f"{name_of(path)}: {place}"
        for path in files()
        # Files of other tools are kept as those wrote them.
        if not path.is_relative_to(ROOT / "tests" / "data")
        if path.suffix != ".png"
        for place in PLACES.findall(path.read_text(encoding="utf-8"))
    ]

    assert named == []
