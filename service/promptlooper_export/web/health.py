"""Tell whoever runs the service whether it lives and whether it can work."""

from flask import Blueprint, Response, jsonify

from promptlooper_export.store.snapshot import Store


def blueprint(store: Store) -> Blueprint:
    """Route `/health/live`, which touches nothing, and `/health/ready`, which asks."""
    routes = Blueprint("health", __name__, url_prefix="/health")

    def live() -> Response:
        return jsonify(status="live")

    def ready() -> Response:
        # DatabaseUnavailableError is the other answer: 503.
        store.ping()
        return jsonify(status="ready")

    routes.add_url_rule("/live", view_func=live)
    routes.add_url_rule("/ready", view_func=ready)
    return routes
