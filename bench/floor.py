"""The least that an answer to a token can cost: `gunicorn floor:app`.

Flask, flask-jwt-extended and one statement on a connection that stays open; the body is
always the same. Its settings are those of the service.
"""

import sqlite3
import threading
from typing import Any

from flask import Flask, Response
from flask_jwt_extended import JWTManager, verify_jwt_in_request

from promptlooper_export.settings import load
from promptlooper_export.store.locations import sqlite_path

BODY = b'{"model": "constant"}\n' * 30
"""About as long as the JSON document of an experiment of `data`."""

settings = load()
app = Flask(__name__)
app.config.update(
    JWT_SECRET_KEY=settings.jwt_secret_key,
    JWT_ALGORITHM=settings.jwt_algorithm,
    JWT_DECODE_AUDIENCE=settings.jwt_audience,
    JWT_DECODE_ISSUER=settings.jwt_issuer,
)
JWTManager(app)
threads = threading.local()


def connection() -> Any:  # noqa: ANN401  of either driver
    """Return the connection of this thread."""
    if not hasattr(threads, "connection"):
        path = sqlite_path(settings.database_url)
        if path is None:
            import psycopg  # noqa: PLC0415  an extra

            threads.connection = psycopg.connect(settings.database_url, autocommit=True)
        else:
            threads.connection = sqlite3.connect(path)
    return threads.connection


@app.get("/experiments/<experiment>/export")
def export(experiment: str) -> Response:
    """Answer with the constant body if there is any experiment."""
    del experiment
    verify_jwt_in_request()
    connection().execute("SELECT name FROM experiments LIMIT 1").fetchone()
    return Response(BODY, mimetype="application/json")
