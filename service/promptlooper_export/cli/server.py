"""The HTTP server of `serve` and `demo`."""

from pathlib import Path

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger

from promptlooper_export.cli.worker import Worker
from promptlooper_export.settings import Settings
from promptlooper_export.web.app import create_app

_MEMORY = Path("/dev/shm")  # noqa: S108  only looked for


class Server(BaseApplication):
    """gunicorn with threads; `extra` are gunicorn settings that go before ours."""

    def __init__(self, settings: Settings, **extra: object) -> None:
        """Keep the settings; nothing is bound before run()."""
        self._settings = settings
        self._extra = extra
        super().__init__(prog="promptlooper-export")

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        for name, value in (gunicorn_settings(self._settings) | self._extra).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override]  # the stubs want any mapping
        """Create the application, once and before the fork."""
        return create_app(self._settings)


class RootLogger(Logger):
    """Hands gunicorn's messages to the handlers of the root logger."""

    def setup(self, cfg: Config) -> None:
        """Set the level and add no handler."""
        self.error_log.propagate = True
        self.error_log.setLevel(cfg.loglevel.upper())


def gunicorn_settings(settings: Settings) -> dict[str, object]:
    """Return gunicorn's settings for ours."""
    return {
        "bind": settings.bind,
        "worker_class": Worker,
        "workers": settings.workers,
        "threads": settings.threads,
        # Workers share the memory of what is imported, and a refusal ends the command.
        "preload_app": True,
        "graceful_timeout": 30,
        # The heartbeat file on a disk can block a worker until it is taken for dead.
        "worker_tmp_dir": str(_MEMORY) if _MEMORY.is_dir() else None,
        # The control socket would be written into the home directory.
        "control_socket_disable": True,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
        # Forwarded headers are the application's business: TRUSTED_PROXIES.
        "forwarded_allow_ips": "",
        "logger_class": RootLogger,
    }
