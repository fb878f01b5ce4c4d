"""The application on a port, for clients that are programs of their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server

from webservice import Service


class Quiet(WSGIRequestHandler):
    """Leaves the log to the service."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def listening(service: Service) -> Iterator[str]:
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
