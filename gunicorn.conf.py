"""What `gunicorn wsgi:app` reads by itself: the same server as `serve`.

It loads the application before the fork: a worker that refused its settings would be
started again for ever.
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
