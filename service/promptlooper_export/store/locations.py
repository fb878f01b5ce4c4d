"""What a database's URL says: which file, or which server."""

import re
from pathlib import Path

from promptlooper_export.errors import SettingsError

_DRIVER = re.compile(r"^(sqlite|postgresql|postgres)\+\w+:")
"""A URL as SQLAlchemy has it names a driver, which is the runner's business."""


def sqlite_path(url: str) -> Path | None:
    """Return the file of a `sqlite:///FILE` URL, None for another database's URL.

    What SQLAlchemy adds to a URL, a driver's name and its options after `?`, is passed
    over.
    """
    url = _DRIVER.sub(r"\1:", url)
    if not url.startswith("sqlite:"):
        return None
    path = url.removeprefix("sqlite:///").partition("?")[0]
    if not url.startswith("sqlite:///") or not path:
        msg = "PROMPTLOOPER_DATABASE_URL: SQLite's form is sqlite:///FILE"
        raise SettingsError(msg)
    return Path(path)


def postgresql_location(url: str) -> str:
    """Return the URL in the form that the driver takes.

    Raises SettingsError for another database's URL, and without the driver.
    """
    url = _DRIVER.sub(r"\1:", url)
    if not url.startswith(("postgresql://", "postgres://")):
        msg = (
            "PROMPTLOOPER_DATABASE_URL is neither sqlite:///FILE nor "
            "postgresql://USER@HOST/NAME"
        )
        raise SettingsError(msg)
    try:
        import psycopg  # noqa: F401, PLC0415  an extra, and slow to import
    except ModuleNotFoundError:
        msg = (
            "PROMPTLOOPER_DATABASE_URL names PostgreSQL, but its driver is missing: "
            "pip install 'promptlooper-export[postgres]'"
        )
        raise SettingsError(msg) from None
    return "postgresql://" + url.split("://", 1)[1]
