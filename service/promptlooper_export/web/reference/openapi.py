"""The OpenAPI 3.1 description, built from the schemas that validate and serialise."""

from typing import Any, cast

from apispec import APISpec

from promptlooper_export import __version__
from promptlooper_export.errors import ProblemError
from promptlooper_export.registry import Registry
from promptlooper_export.web import problems
from promptlooper_export.web.delivery import BODILESS
from promptlooper_export.web.problems import PROBLEMS, explanation
from promptlooper_export.web.reference import headers
from promptlooper_export.web.reference.export_operations import export_operations
from promptlooper_export.web.reference.json_schema import (
    Converter,
    Plugin,
)
from promptlooper_export.web.reference.operations import (
    PAGE,
    WITHOUT_EXPORTS,
    Answer,
    Operation,
)
from promptlooper_export.web.reference.schemas import DOCUMENTS, ProblemSchema

DESCRIPTION = """\
Which run of an experiment won, and how to get its config to where it is used.

Every resource with GET also has HEAD, the same answer without its body, and OPTIONS. An
unknown or repeated parameter is refused. An error is a problem document (RFC 9457); its
`type` is the page that says what to do. If Accept prefers HTML, an error is a page.
"""
TOKEN = "bearer"  # noqa: S105  the name of the scheme


def openapi(registry: Registry) -> dict[str, Any]:
    """Describe the service with these formats; the caller adds `servers`."""
    plugin = Plugin()
    spec = APISpec(
        title="promptlooper-export",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
    )
    for name, header in headers.HEADERS.items():
        spec.components.header(name, dict(header))
    for schema in DOCUMENTS.values():
        spec.components.schema(schema.__name__.removesuffix("Schema"), schema=schema)
    for kind in PROBLEMS.values():
        spec.components.example(kind.slug, {"value": _example(kind)})
    spec.components.security_scheme(
        TOKEN,
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Create one with `promptlooper-export token`.",
        },
    )
    for operation in (
        *export_operations(registry, cast("Converter", plugin.converter)),
        *WITHOUT_EXPORTS,
    ):
        spec.path(operation.path, operations={operation.method: _row(operation)})
    return spec.to_dict()


def _row(operation: Operation) -> dict[str, Any]:
    answers = {
        str(int(status)): _answer(answer, has_body=status not in BODILESS)
        for status, answer in operation.answers.items()
    }
    refusals = {
        str(status): _refusal(kinds) for status, kinds in operation.problems.items()
    }
    return {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        "security": [{TOKEN: []}] if operation.needs_token else [],
        "parameters": [dict(parameter) for parameter in operation.parameters],
        "responses": answers | refusals,
    }


def _answer(answer: Answer, *, has_body: bool) -> dict[str, Any]:
    own = headers.WITH_BODY if has_body else ()
    return {
        "description": answer.description,
        "headers": {name: name for name in (*headers.ALWAYS, *own, *answer.headers)},
        "content": {name: dict(media) for name, media in answer.content.items()},
    }


def _refusal(kinds: list[type[ProblemError]]) -> dict[str, Any]:
    """Describe the problems of one status."""
    names = [*headers.ALWAYS, *headers.WITH_BODY, "Content-Security-Policy"]
    for kind in kinds:
        names += headers.OF_PROBLEMS.get(kind, ())
    content = {
        problems.MEDIA_TYPE: {
            "schema": ProblemSchema,
            "examples": {kind.slug: kind.slug for kind in kinds},
        },
        **PAGE,
    }
    return {
        "description": " ".join(f"{kind.title}." for kind in kinds),
        "headers": {name: name for name in names},
        "content": content,
    }


def _example(kind: type[ProblemError]) -> dict[str, Any]:
    meaning, _ = explanation(kind)
    return {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": " ".join(meaning.split()),
        "instance": "urn:request:9f8b1c0a4e7d4f6c8a2b3d5e7f901234",
    }
