"""Formats of a third party that fail in the middle, or are as large as a test wants."""

from pathlib import Path

ENTRY_POINTS = """
[promptlooper_export.formats]
raising = faulty_formats:RAISING
waiting = faulty_formats:WAITING
sized = faulty_formats:SIZED
"""

MODULE = '''
import random
import time
from pathlib import Path

from marshmallow import Schema, fields

from promptlooper_export.plugin import Best, Format


class Marker(Schema):
    marker = fields.String(required=True)


class Size(Schema):
    size = fields.Integer(load_default=1200)


def raising(best):
    yield b"the beginning"
    raise RuntimeError


def waiting(best, marker):
    """Show that rendering has begun, and end when the mark is taken away."""
    yield b"the beginning"
    Path(marker).touch()
    while Path(marker).exists():
        time.sleep(0.01)
    yield b"the end"


def sized(best, size):
    line = random.Random(1).randbytes(1 << 15).hex().encode()
    for _ in range(size // len(line)):
        yield line
    yield line[:size % len(line)]


def stranger(name, render, options=Schema):
    return Format(
        name=name, title=name, document=Best, media_types=(f"text/x-{name}",),
        extension=name, render=render, options=options,
    )


RAISING = stranger("raising", raising)
WAITING = stranger("waiting", waiting, Marker)
SIZED = stranger("sized", sized, Size)
'''


def install(folder: Path) -> None:
    """Install them into a folder for PYTHONPATH."""
    metadata = folder / "faulty-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: faulty\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "faulty_formats.py").write_text(MODULE)
