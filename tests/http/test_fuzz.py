"""Requests that schemathesis makes up from the service's own description."""

import os
import subprocess
import sys
from pathlib import Path

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from http_server import listening
from webservice import Service, bearer, settings_for

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "5")
"""How many requests to make up for each operation; `make fuzz` asks for more."""


@on_sqlite
def test_every_answer_is_as_described(database: Database, tmp_path: Path) -> None:
    loaded = experiment(
        run({"accuracy": 1.0, "brevity": 0.5}, duration_ms=100, tokens_in=5), run()
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    (token,) = bearer(service.settings).items()
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(f'[parameters]\n"path.experiment" = "{loaded.id}"\n')
    with listening(service) as address:
        done = subprocess.run(
            [
                SCHEMATHESIS,
                f"--config-file={configuration}",
                "run",
                f"{address}/openapi.json",
                f"--header={': '.join(token)}",
                f"--max-examples={EXAMPLES}",
                "--checks=all",
                # A condition may fail, and a format lacks the options of another.
                "--exclude-checks=positive_data_acceptance",
                "--generation-database=none",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
