"""Describe the service, to programs and to people; no token needed."""

import json
from functools import cache
from typing import Any

from flask import Blueprint, Response, request

from promptlooper_export.errors import NotFoundError
from promptlooper_export.registry import Registry
from promptlooper_export.web import responses
from promptlooper_export.web.answers import DOCUMENTS


def blueprint(registry: Registry) -> Blueprint:
    """Route `/openapi.json` and `/schemas/<document>.json`.

    Both are made when first asked for: what makes them is not even imported before.
    """
    routes = Blueprint("description", __name__)

    @cache
    def described() -> dict[str, Any]:
        from promptlooper_export.web.openapi import openapi  # noqa: PLC0415  see above

        return openapi(registry)

    def openapi_json() -> Response:
        # A server without a host: whatever stands before the paths of this service.
        servers = [{"url": request.script_root or "/"}]
        return _json({**described(), "servers": servers}, "application/json")

    routes.add_url_rule("/openapi.json", view_func=openapi_json)
    routes.add_url_rule("/schemas/<document>.json", view_func=schema)
    return routes


def schema(document: str) -> Response:
    """Answer with the JSON Schema of a document."""
    if document not in DOCUMENTS:
        detail = f"There is no such schema; there are {', '.join(DOCUMENTS)}."
        raise NotFoundError(detail, available=list(DOCUMENTS))
    from promptlooper_export.web import json_schema  # noqa: PLC0415  see blueprint

    described = json_schema.json_schema(document, DOCUMENTS[document])
    return _json(described, json_schema.MEDIA_TYPE)


def _json(document: dict[str, Any], media_type: str) -> Response:
    # A stranger's default or choice may be any object.
    text = json.dumps(document, default=str)
    return responses.conditional(Response(text, mimetype=media_type))
