"""The WSGI application for any server: `gunicorn wsgi:app`."""

import sys

from gunicorn.arbiter import Arbiter

from promptlooper_export import logs
from promptlooper_export.errors import SettingsError
from promptlooper_export.settings import SYNC_REFUSED, load

# Without our gunicorn.conf.py, nothing but its import tells of the worker's class.
if "gunicorn.workers.sync" in sys.modules:
    sys.stderr.write(f"promptlooper-export: {SYNC_REFUSED}\n")
    # After this exit code of a worker, gunicorn ends; after 78 it starts another one.
    sys.exit(Arbiter.WORKER_BOOT_ERROR)

# A second's work, for which a refusal should not wait.
from promptlooper_export.web.app import create_app

try:
    settings = load()
    logs.configure(settings.log_format)
    app = create_app(settings)
except SettingsError as error:
    sys.stderr.write(f"promptlooper-export: {error.detail}\n")
    sys.exit(error.exit_code)
