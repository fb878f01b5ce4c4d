"""The WSGI application for any server: `gunicorn wsgi:app`."""

import sys

from promptlooper_export import logs
from promptlooper_export.errors import SettingsError
from promptlooper_export.settings import load
from promptlooper_export.web.app import create_app

try:
    settings = load()
    logs.configure(settings.log_format)
    app = create_app(settings)
except SettingsError as error:
    sys.stderr.write(f"promptlooper-export: {error.detail}\n")
    sys.exit(error.exit_code)
