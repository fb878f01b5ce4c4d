"""Formats of a third party, installed beside the built-in ones for one test."""

from cli.console import Console

ENTRY_POINTS = """
[promptlooper_export.formats]
broken = nowhere:FORMAT
endless = strangers_formats:ENDLESS
failing = strangers_formats:FAILING
noticed = strangers_formats:NOTICED
"""

MODULE = """
from marshmallow import Schema, fields
from promptlooper_export.plugin import Best, Format, Notice

class Options(Schema):
    greeting = fields.String(load_default="hello")

def failing(best):
    yield b"the beginning"
    raise RuntimeError

def noticed(best, greeting):
    yield Notice(code="rounded", message="the score is rounded")
    yield f"{greeting} {best.weighted_score:.2f}\\n".encode()

def endless(best):
    while True:
        yield b""

ENDLESS = Format(
    name="endless", title="Never ends", document=Best, render=endless,
    media_types=("text/x-endless",), extension="endless",
)
FAILING = Format(
    name="failing", title="Fails", document=Best, render=failing,
    media_types=("text/x-failing",), extension="failing",
)
NOTICED = Format(
    name="noticed", title="Has a notice", document=Best, render=noticed,
    media_types=("text/x-noticed",), extension="noticed", options=Options,
)
"""


def beside_strangers(console: Console) -> Console:
    """Return the command with the strangers' package in its import path."""
    site = console.directory.parent / "site"
    metadata = site / "strangers-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: strangers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "strangers_formats.py").write_text(MODULE)
    environ = console.environ | {"PYTHONPATH": str(site)}
    return Console(directory=console.directory, environ=environ)
