"""How many files of ours a request enters: `python bench/road.py`.

A reader follows a request from file to file, so few files and few changes of file make
code that is quick to read. Counted is the second request, when all is loaded.
"""

import secrets
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import data
from promptlooper_export.auth.issuing import issue
from promptlooper_export.settings import load
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write
from promptlooper_export.web.app import create_app

OURS = ("/promptlooper_export/", "/promptlooper_formats/")


def follow(act: Callable[[], object]) -> list[str]:
    """Return the files of ours that a call enters, each time it changes file."""
    road: list[str] = []

    def enter(frame: FrameType, event: str, _: Any) -> None:  # noqa: ANN401  sys's
        name = frame.f_code.co_filename
        is_ours = any(part in name for part in OURS)
        if event == "call" and is_ours and road[-1:] != [name]:
            road.append(name)

    sys.setprofile(enter)
    try:
        act()
    finally:
        sys.setprofile(None)
    return road


def main() -> None:
    """Print a line for each format."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory, 'road.db')}"
        settings = load(
            {
                "PROMPTLOOPER_DATABASE_URL": url,
                "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
            }
        )
        migrate(url, create=True)
        experiment = data.experiment(2)
        write(url, iter([experiment]))
        token = issue(settings, subject="bench", expires=timedelta(minutes=5))
        client = create_app(settings).test_client()
        for name in ("csv", "json"):

            def ask(name: str = name) -> None:
                path = f"/experiments/{experiment.id}/export?format={name}"
                answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
                answer.get_data()

            ask()
            road = follow(ask)
            sys.stdout.write(
                f"{name}: {len(set(road))} files, {len(road)} changes of file\n"
            )


if __name__ == "__main__":
    main()
