"""Third parties' packages, as an installer would leave them in a folder."""

import sys
from collections.abc import Mapping
from pathlib import Path

DECLARATION = """
from promptlooper_export.plugin import Best, Format, Notice, UnrepresentableError

def declare(name, render, **others):
    return Format(**{
        "name": name, "title": name.title(), "document": Best, "render": render,
        "media_types": (f"application/x-{name}",), "extension": "x", **others,
    })
"""
"""The beginning of a module: declare() fills in what a test does not care about."""


def install(
    folder: Path, modules: Mapping[str, str], *, package: str = "strangers"
) -> None:
    """Install a package; each module's text follows DECLARATION and defines FORMAT.

    The entry point of a module has its name, with hyphens for underscores. Modules of
    such names that another test left imported are forgotten.
    """
    information = folder / f"{package}-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Name: {package}\nVersion: 1\n")
    lines = ["[promptlooper_export.formats]"]
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(DECLARATION + text)
        sys.modules.pop(module, None)
        lines.append(f"{module.replace('_', '-')} = {module}:FORMAT")
    (information / "entry_points.txt").write_text("\n".join(lines))
