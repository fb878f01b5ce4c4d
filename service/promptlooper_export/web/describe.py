"""Say what can be had: `/formats`."""

import json

from flask import Blueprint, Response

from promptlooper_export.documents import JSON
from promptlooper_export.registry import AnyFormat, Registry, describe_options


def blueprint(registry: Registry) -> Blueprint:
    """Route `/formats`; no token needed."""
    routes = Blueprint("describe", __name__)

    def formats() -> Response:
        # A stranger's default or choice may be any object.
        text = json.dumps({"formats": rows(registry)}, default=str)
        return Response(text, mimetype="application/json")

    routes.add_url_rule("/formats", view_func=formats)
    return routes


def rows(registry: Registry) -> list[dict[str, JSON]]:
    """Describe every format on offer."""
    return [
        _format(row) | _installation(registry.missing.get(row.name))
        for row in registry.formats.values()
    ]


def _format(format: AnyFormat) -> dict[str, JSON]:  # noqa: A002  the field's word
    return {
        "name": format.name,
        "title": format.title,
        "document": format.document.__name__.lower(),
        "media_types": list(format.media_types),
        "extension": format.extension,
        "options": list(describe_options(format.options)),
    }


def _installation(command: str | None) -> dict[str, JSON]:
    return (
        {"installed": True}
        if command is None
        else {
            "installed": False,
            "install": command,
        }
    )
