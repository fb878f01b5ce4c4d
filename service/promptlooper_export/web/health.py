"""Report whether the service is alive and whether it is ready."""

from flask import Blueprint, Response, jsonify

from promptlooper_export.errors import (
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    SpoolFullError,
)
from promptlooper_export.spool import require_room
from promptlooper_export.store.snapshot import Store

REFUSALS = (
    DatabaseUnavailableError,
    DatabaseNotUnderstoodError,
    SpoolFullError,
)
"""The problems of readiness; OpenAPI lists them."""


def blueprint(store: Store) -> Blueprint:
    """Route `/health/live`, and `/health/ready`, which asks database and disk."""
    routes = Blueprint("health", __name__, url_prefix="/health")

    def live() -> Response:
        return jsonify(status="live")

    def ready() -> Response:
        # What these raise becomes a 503.
        store.ping()
        require_room()
        return jsonify(status="ready")

    routes.add_url_rule("/live", view_func=live)
    routes.add_url_rule("/ready", view_func=ready)
    return routes
