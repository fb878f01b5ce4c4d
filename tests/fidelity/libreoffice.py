"""What LibreOffice makes of the tables of a hostile experiment."""

import re
import subprocess
import tempfile
from pathlib import Path

from formats.rendering import render, row, table
from promptlooper_export.registry import discover

HOSTILE = (
    "=1+1", "+1+1", "-1+1", "@SUM(1,1)", "\t=1+1", "\r=1", "\n=1", "\uff1d1+1",
    "\uff0b1", "\uff0d1", "\uff20SUM(1)", "'=1", "=cmd|' /C calc'!A0", "{=1+1}",
    '=HYPERLINK("http://x","y")', '=DDE("a";"b";"c")', " =1+1", "=1,2;=3\n=4",
    'a"=1+1', '";=1+1', "%=1", "\ufeff=1+1", "\u200b=1", "|=1",
)  # fmt: skip

# Comma, quotes, UTF-8, from the first line, all else as a double click has it.
_FILTER = "CSV:44,34,76,1"


def check() -> str:
    """Open a workbook and a CSV file; return what was found.

    Raises AssertionError for a formula, or a number that is none.
    """
    rows = [row({"text": text, "n": -0.5}, name=text, error=text) for text in HOSTILE]
    found = []
    for name, infilter in (("csv", f"--infilter={_FILTER}"), ("xlsx", "")):
        body = render(discover().formats[name], table(*rows)).body
        sheet = _opened(body, name, infilter)
        assert "table:formula" not in sheet, f"{name}: a cell is computed"
        numbers = re.findall(r'office:value="([^"]*)"', sheet)
        assert numbers == ["-0.5"] * len(HOSTILE), f"{name}: {numbers}"
        found.append(f"{name}: {len(HOSTILE)} hostile texts, no formula")
    return "; ".join(found)


def _opened(body: bytes, name: str, infilter: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"runs.{name}").write_bytes(body)
        subprocess.run(
            [
                *("soffice", "--headless", f"-env:UserInstallation=file://{folder}/u"),
                *("--convert-to", "fods", *filter(None, [infilter]), f"runs.{name}"),
            ],
            cwd=folder,
            capture_output=True,
            check=True,
            timeout=180,
        )
        return (Path(folder) / "runs.fods").read_text(encoding="utf-8")
