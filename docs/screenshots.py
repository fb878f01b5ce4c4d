"""Take the pictures of the README: the demo's report, and what `show` prints.

Needs chromium-headless-shell. The same data give the same pictures, as far as the
machine has the same fonts.
"""

import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from promptlooper_export.cli.demo_data import EXPERIMENT, demo_experiments
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write

IMAGES = Path(__file__).parent / "images"
TERMINAL = """\
<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 1.25rem; background: #11151d; color: #e7ebf2; }}
pre {{ margin: 0; font: 14px/1.4 "DejaVu Sans Mono", monospace; }}
</style><pre>$ promptlooper-export show pump-manual-assistant
{text}</pre>
"""
COMMAND = Path(sys.executable).with_name("promptlooper-export")


def main() -> None:
    """Fill a temporary database, export from it, and photograph the pages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'demo.db'}"
        migrate(url, create=True)
        write(url, demo_experiments())
        report = folder / "report.html"
        export = ["export", str(EXPERIMENT), "-f", "html", "--reproducible"]
        _run(url, *export, "-o", str(report))
        terminal = folder / "show.html"
        shown = _run(url, "show", str(EXPERIMENT))
        terminal.write_text(TERMINAL.format(text=escape(shown)))
        IMAGES.mkdir(exist_ok=True)
        _photograph(report, "report.png", width=1120, height=900)
        _photograph(report, "report-dark.png", width=1120, height=900, scheme="dark")
        _photograph(report, "report-phone.png", width=390, height=844)
        lines = shown.count("\n") + 2
        _photograph(terminal, "show.png", width=760, height=40 + 20 * lines)


def _run(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments],
        env={"PROMPTLOOPER_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _photograph(
    page: Path, name: str, *, width: int, height: int, scheme: str = "light"
) -> None:
    subprocess.run(
        [
            *("chromium-headless-shell", "--no-sandbox", "--hide-scrollbars"),
            f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            f"--screenshot={IMAGES / name}",
            page.as_uri(),
        ],
        capture_output=True,
        check=True,
    )


if __name__ == "__main__":
    main()
