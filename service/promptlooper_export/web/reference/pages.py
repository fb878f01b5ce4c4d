"""Describe the service for programs and people; no token needed."""

import json
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Blueprint, Response, request

from promptlooper_export.errors import NotFoundError
from promptlooper_export.registry import Registry
from promptlooper_export.web import pages
from promptlooper_export.web.delivery import with_etag
from promptlooper_export.web.invitation import Invitation
from promptlooper_export.web.problems import PROBLEMS, explanation
from promptlooper_export.web.reference.formats import rows, snippets
from promptlooper_export.web.reference.schemas import DOCUMENTS, SCHEMAS

EXPORT = "/experiments/{experiment}/export"


def blueprint(registry: Registry, invitation: Invitation | None) -> Blueprint:
    """Route `/openapi.json`, `/docs`, `/schemas/<document>.json`, `/problems/<slug>`.

    The first three are generated on the first request, which imports what they need.
    """
    routes = Blueprint("description", __name__)

    @cache
    def described() -> dict[str, Any]:
        from promptlooper_export.web.reference.openapi import openapi  # noqa: PLC0415  see above

        # A third-party default or choice may be any object, or infinite.
        text = json.dumps(openapi(registry), default=str)
        plain: dict[str, Any] = json.loads(text, parse_constant=str)
        return plain

    def openapi_json() -> Response:
        # A server URL without a host: the prefix of this service's paths.
        servers = [{"url": request.script_root or "/"}]
        return _json({**described(), "servers": servers}, "application/json")

    def docs() -> Response:
        page = pages.page(
            "docs.html",
            api=described(),
            formats=[_format(row, described()) for row in rows(registry)],
            kinds=PROBLEMS,
            documents=SCHEMAS,
            variables=variables(request.url_root, invitation),
        )
        return with_etag(page)

    routes.add_url_rule("/openapi.json", view_func=openapi_json)
    routes.add_url_rule("/docs", view_func=docs)
    routes.add_url_rule("/schemas/<document>.json", view_func=schema)
    routes.add_url_rule("/problems/<slug>", view_func=problem, endpoint="problem")
    return routes


def variables(base: str, invitation: Invitation | None) -> dict[str, str]:
    """Return what to set for the commands on the page, as words of a shell."""
    command, experiment = "promptlooper-export token --subject me --expires 1h", "ID"
    if invitation is not None:
        command = f"cat {shlex.quote(str(invitation.token_file))}"
        experiment = str(invitation.experiment or experiment)
    return {
        "EXPORT_URL": shlex.quote(f"{base}experiments/{experiment}/export"),
        "EXPORT_TOKEN": f'"$({command})"',
    }


def schema(document: str) -> Response:
    """Return the JSON Schema of a document, or of the interchange file's lines."""
    if document not in SCHEMAS:
        detail = f"There is no such schema; available: {', '.join(SCHEMAS)}."
        raise NotFoundError(detail, available=list(SCHEMAS))
    from promptlooper_export.web.reference import interchange, json_schema  # noqa: PLC0415  see blueprint

    if document in DOCUMENTS:
        described = json_schema.json_schema(document, DOCUMENTS[document])
    else:
        described = interchange.interchange_schema()
    return _json(described, json_schema.MEDIA_TYPE)


def _format(row: Mapping[str, Any], api: Mapping[str, Any]) -> dict[str, Any]:
    """Return a format with its options as in OpenAPI, and commands to fetch it."""
    described = {one["name"]: one for one in api["paths"][EXPORT]["get"]["parameters"]}
    parameters = [
        {**described[option["name"]], "description": option.get("description", "")}
        for option in row["options"]
    ]
    return {
        **row,
        "parameters": parameters,
        "snippets": snippets(row["name"], row["extension"]),
    }


def _json(document: dict[str, Any], media_type: str) -> Response:
    response = Response(json.dumps(document), mimetype=media_type)
    return with_etag(response)


def problem(slug: str) -> Response:
    """Return the page of one kind of problem."""
    if slug not in PROBLEMS:
        detail = f"There is no such kind of problem; available: {', '.join(PROBLEMS)}."
        raise NotFoundError(detail, available=list(PROBLEMS))
    meaning, remedy = explanation(PROBLEMS[slug])
    return pages.page(
        "problem.html",
        kind=PROBLEMS[slug],
        kinds=PROBLEMS.values(),
        meaning=meaning,
        remedy=remedy,
    )
