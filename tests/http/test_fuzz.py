"""Requests that schemathesis makes up from the service's own description."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from builders import experiment, run
from databases import Database
from webservice import Service, bearer, settings_for

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "10")
"""How many requests to make up for each operation; `make fuzz` asks for more."""


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Leave the log to the service."""


@contextmanager
def served(service: Service) -> Iterator[str]:
    """Serve on a free port; yield the address."""
    server = make_server(
        "127.0.0.1", 0, service.app, threaded=True, request_handler=Quiet
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_answer_is_as_described(database: Database, tmp_path: Path) -> None:
    loaded = experiment(
        run({"accuracy": 1.0, "brevity": 0.5}, duration_ms=100, tokens_in=5), run()
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    (token,) = bearer(service.settings).items()
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(f'[parameters]\n"path.experiment" = "{loaded.id}"\n')
    with served(service) as address:
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
