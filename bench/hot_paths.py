"""The hot paths, run one by one when told to: what `instructions.py` watches.

It reads a name from each line of its input, runs that path, and writes a line when it
has. What the names are is its first line.
"""

import gc
import json
import secrets
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import plain
from timing import Timed, exporting_from

import data
from promptlooper_export.auth.issuing import issue
from promptlooper_export.redaction import redact_config
from promptlooper_export.settings import load
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write
from promptlooper_export.web.app import create_app

RUNS = 100
CONFIGS = 1000
REQUESTS = 10


def hot_paths(folder: Path) -> Mapping[str, Timed]:
    """Return the paths by name; the first is the reference for the others."""
    url = f"sqlite:///{folder}/hot.db"
    migrate(url, create=True)
    experiment = data.experiment(RUNS)
    write(url, iter([experiment]))
    settings = load(
        {
            "PROMPTLOOPER_DATABASE_URL": url,
            "PROMPTLOOPER_JWT_SECRET_KEY": secrets.token_hex(32),
        }
    )
    token = issue(settings, subject="bench", expires=timedelta(hours=1))
    headers = {"Authorization": f"Bearer {token}"}
    client = create_app(settings).test_client()
    path = f"/experiments/{experiment.id}/export?format=json"
    tag = client.get(path, headers=headers).headers["ETag"]
    configs = [json.loads(run.config) for run in data.runs(CONFIGS)]
    for number, config in enumerate(configs[::10]):
        config["password"] = f"correct-horse-{number}"

    def answers(more: dict[str, str]) -> None:
        for _ in range(REQUESTS):
            client.get(path, headers=headers | more).get_data()

    def redacting() -> None:
        for config in configs:
            redact_config(config)

    return {
        "plainest writer": partial(plain.ndjson, url, experiment.id, data.WEIGHTS),
        "ndjson": exporting_from(url, experiment.id, "ndjson"),
        "csv": exporting_from(url, experiment.id, "csv"),
        "json": partial(answers, {}),
        "not modified": partial(answers, {"If-None-Match": tag}),
        "redaction": redacting,
    }


def main() -> None:
    """Run what is asked for until there is no more input."""
    with tempfile.TemporaryDirectory() as folder:
        paths = hot_paths(Path(folder))
        print(json.dumps([*paths]), flush=True)
        for line in sys.stdin:
            gc.collect()
            paths[line.strip()]()
            print("done", flush=True)


if __name__ == "__main__":
    main()
