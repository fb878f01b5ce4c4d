"""Pages on a phone and on a screen, in light and dark, as axe-core judges them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from pages import BROWSER
from servers import ROOT
from webservice import Service, settings_for

AXE = ROOT / "tests" / "fidelity" / "node_modules" / "axe-core" / "axe.min.js"
JUDGE = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const judged = document.createElement("pre")
  judged.id = "judged"
  judged.textContent = JSON.stringify({
    violations: found.violations.map(one => one.id + " " + one.nodes[0].html),
    width: document.documentElement.scrollWidth,
  })
  document.body.append(judged)
})
"""
LONG = "a name without a single break " + "x" * 300


@dataclass(frozen=True, kw_only=True)
class Judged:
    violations: list[str]
    width: int


def judge(page: str, folder: Path, *, width: int, scheme: str) -> Judged:
    """Open a page in a browser and have axe judge it."""
    script = f"<script>{AXE.read_text()}</script><script>{JUDGE}</script></body>"
    path = folder / "page.html"
    path.write_text(page.replace("</body>", script))
    done = subprocess.run(
        [
            *("chromium-headless-shell", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={folder}", f"--window-size={width},900"),
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            *("--virtual-time-budget=20000", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    text = done.stdout.decode().rpartition('<pre id="judged">')[2]
    return Judged(**json.loads(text[: text.index("</pre>")].replace("&lt;", "<")))


@pytest.fixture
def service(database: Database) -> Service:
    """Serve a report with something in every place, and names that are too long."""
    random = np.random.default_rng(3)
    cases = tuple(f"{LONG} {case}" for case in range(12))
    judged = [
        run(
            {LONG: random.normal(0.5 + number / 50, 0.1, len(cases)).tolist()},
            cases={LONG: cases},
            name=f"{LONG} {number}",
            config={LONG: number % 3, "temperature": number / 10, "prompt": "Hi\n" * 9},
            cost_usd=0.01 * (9 - number),
            duration_ms=900 * (number + 1),
        )
        for number in range(9)
    ]
    failed = [run({}, status="failed", error=LONG) for _ in range(3)]
    loaded = experiment(*judged, *failed, name=LONG, description=LONG)
    database.load(loaded)
    database.load(experiment(name="empty"))
    return Service(settings_for(database.url))


def experiment_of(service: Service) -> str:
    items = service.ask("/experiments?sort=oldest").get_json()["items"]
    return f"/experiments/{items[0]['id']}"


@on_sqlite
def test_anybody_can_read_the_report_at_any_width_in_light_and_dark(
    service: Service, tmp_path: Path
) -> None:
    page = service.ask(f"{experiment_of(service)}/export?format=html&links=1").text
    for width, scheme in ((360, "light"), (360, "dark"), (1280, "light")):
        judged = judge(page, tmp_path, width=width, scheme=scheme)
        assert judged.violations == []
        assert judged.width <= width


@on_sqlite
def test_anybody_can_read_every_page_of_the_service(
    service: Service, tmp_path: Path
) -> None:
    one = experiment_of(service)
    for address, width, scheme in (
        ("/experiments", 360, "dark"),
        ("/experiments", 1280, "light"),
        (one, 360, "light"),
        (f"{one}/export?format=pdf", 360, "dark"),
        ("/session?next=/docs", 360, "light"),
        ("/docs", 360, "dark"),
    ):
        page = service.ask(address, headers=BROWSER).text
        # What is folded is judged as well.
        page = page.replace("<details open", "<details").replace(
            "<details", "<details open"
        )
        judged = judge(page, tmp_path, width=width, scheme=scheme)
        assert judged.violations == [], address
        assert judged.width <= width, address
