"""The configuration that `gunicorn wsgi:app` reads: the same server as `serve`.

It loads the application before the fork, because gunicorn would restart a worker that
refuses its settings forever.
"""

import sys

from promptlooper_export.cli.serve import gunicorn_settings
from promptlooper_export.errors import SettingsError
from promptlooper_export.settings import load

try:
    globals().update(gunicorn_settings(load()))
except SettingsError as error:
    sys.stderr.write(f"promptlooper-export: {error.detail}\n")
    sys.exit(error.exit_code)
