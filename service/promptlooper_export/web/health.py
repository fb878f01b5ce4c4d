"""Report whether the service is alive and whether it is ready."""

from flask import Blueprint, Response, jsonify

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
)
from promptlooper_export.store.snapshot import Store

REFUSALS = (DatabaseUnavailableError, DatabaseNotUnderstoodError)
"""The problems of readiness; OpenAPI lists them."""


def blueprint(store: Store) -> Blueprint:
    """Route `/health/live`, and `/health/ready`, which asks the database."""
    routes = Blueprint("health", __name__, url_prefix="/health")

    def live() -> Response:
        return jsonify(status="live")

    def ready() -> Response:
        # Raises DatabaseUnavailableError, which becomes a 503.
        store.ping()
        return jsonify(status="ready")

    routes.add_url_rule("/live", view_func=live)
    routes.add_url_rule("/ready", view_func=ready)
    return routes
