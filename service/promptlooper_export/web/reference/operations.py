"""The resources of the service, as OpenAPI describes them: one row for each route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from marshmallow import Schema

from promptlooper_export.errors import (
    DatabaseUnavailableError,
    ExportError,
    InternalError,
    InvalidParameterError,
    NotAcceptableError,
    NotFoundError,
    RequestTooLargeError,
    UnauthorizedError,
)
from promptlooper_export.web.experiments import ExperimentsSchema, PageParameters
from promptlooper_export.web.reference import json_schema
from promptlooper_export.web.reference.problems import KINDS
from promptlooper_export.web.reference.schemas import (
    DOCUMENTS,
    FormatsSchema,
    HealthSchema,
)
from promptlooper_export.web.session import SessionParameters

PAGE = {"text/html": {"schema": {"type": "string"}}}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is not a refusal.

    `content` maps media types to what OpenAPI says of them; `headers` are those beyond
    the fields of every answer.
    """

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of a resource; `path` has its parameters in braces.

    `refusals` are the problems that are its own; every operation may meet a defect.
    """

    path: str
    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    method: str = "get"
    parameters: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[type[ExportError], ...] = ()
    needs_token: bool = False

    @property
    def problems(self) -> dict[int, list[type[ExportError]]]:
        """The refusals by status."""
        kinds: tuple[type[ExportError], ...] = (*self.refusals, InternalError)
        grouped: dict[int, list[type[ExportError]]] = {}
        for kind in kinds:
            grouped.setdefault(kind.status, []).append(kind)
        return dict(sorted(grouped.items()))


NOT_MODIFIED = Answer(
    description="The client has it already: If-None-Match named its tag.",
    headers=("ETag",),
)
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "Tags that the client has; one that still holds is answered by 304.",
    "schema": {"type": "string"},
}


def _json(schema: type[Schema]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _one_of(name: str, values: list[str], description: str) -> dict[str, Any]:
    return {
        "in": "path",
        "name": name,
        "required": True,
        "description": description,
        "schema": {"type": "string", "enum": values},
    }


def _tagged(
    content: Mapping[str, Any], description: str, *headers: str
) -> dict[int, Answer]:
    """Return the answers of what has a tag of its bytes."""
    whole = Answer(description=description, content=content, headers=("ETag", *headers))
    return {HTTPStatus.OK: whole, HTTPStatus.NOT_MODIFIED: NOT_MODIFIED}


WITHOUT_EXPORTS = (
    Operation(
        path="/",
        id="root",
        tag="Experiments",
        summary="Go to the experiments.",
        answers={
            HTTPStatus.SEE_OTHER: Answer(
                description="They are there.", headers=("Location", "Link")
            )
        },
    ),
    Operation(
        path="/experiments",
        id="listExperiments",
        tag="Experiments",
        summary="List the experiments that the token may see, newest first.",
        description="JSON, unless Accept prefers HTML: a page with links to exports.",
        parameters=({"in": "query", "schema": PageParameters}, IF_NONE_MATCH),
        answers=_tagged(
            {**_json(ExperimentsSchema), **PAGE},
            "A page of experiments.",
            "Content-Security-Policy",
        ),
        refusals=(
            UnauthorizedError,
            InvalidParameterError,
            NotAcceptableError,
            DatabaseUnavailableError,
        ),
        needs_token=True,
    ),
    Operation(
        path="/session",
        id="getSession",
        tag="Sessions of browsers",
        summary="Sign in or out, as a person.",
        parameters=({"in": "query", "schema": SessionParameters},),
        answers={
            HTTPStatus.OK: Answer(
                description="A page with a form for a token.",
                content=PAGE,
                headers=("Content-Security-Policy",),
            )
        },
        refusals=(InvalidParameterError,),
    ),
    Operation(
        path="/session",
        method="post",
        id="beginSession",
        tag="Sessions of browsers",
        summary="Put the token into a cookie.",
        description="The cookie opens what the token does, for GET and HEAD, as long "
        "as the token lives. The form of the page sends the token as `token` instead.",
        answers={
            HTTPStatus.NO_CONTENT: Answer(
                description="The cookie is set.", headers=("Set-Cookie",)
            ),
            HTTPStatus.SEE_OTHER: Answer(
                description="To the form: the cookie is set, go there.",
                headers=("Location",),
            ),
        },
        refusals=(
            UnauthorizedError,
            InvalidParameterError,
            RequestTooLargeError,
            DatabaseUnavailableError,
        ),
        needs_token=True,
    ),
    Operation(
        path="/session",
        method="delete",
        id="endSession",
        tag="Sessions of browsers",
        summary="Take the cookie away; the token itself stays as it is.",
        answers={
            HTTPStatus.NO_CONTENT: Answer(
                description="There is no cookie now.", headers=("Set-Cookie",)
            )
        },
    ),
    Operation(
        path="/formats",
        id="listFormats",
        tag="About the service",
        summary="List the formats, each with its options.",
        answers={
            HTTPStatus.OK: Answer(
                description="Every registered format, in the order that breaks ties.",
                content=_json(FormatsSchema),
            )
        },
    ),
    Operation(
        path="/openapi.json",
        id="getOpenApi",
        tag="About the service",
        summary="Describe the service as OpenAPI 3.1.",
        parameters=(IF_NONE_MATCH,),
        answers=_tagged(
            {"application/json": {"schema": {"type": "object"}}}, "This document."
        ),
    ),
    Operation(
        path="/docs",
        id="getDocs",
        tag="About the service",
        summary="Describe the service to people.",
        parameters=(IF_NONE_MATCH,),
        answers=_tagged(
            PAGE,
            "A page that loads nothing and runs nothing.",
            "Content-Security-Policy",
        ),
    ),
    Operation(
        path="/schemas/{document}.json",
        id="getSchema",
        tag="About the service",
        summary="Describe a document as JSON Schema 2020-12.",
        parameters=(
            _one_of("document", list(DOCUMENTS), "What is described."),
            IF_NONE_MATCH,
        ),
        answers=_tagged(
            {json_schema.MEDIA_TYPE: {"schema": {"type": "object"}}}, "The schema."
        ),
        refusals=(NotFoundError,),
    ),
    Operation(
        path="/problems/{slug}",
        id="getProblem",
        tag="About the service",
        summary="Explain a kind of problem: what it means and what to do.",
        parameters=(_one_of("slug", list(KINDS), "The end of its `type`."),),
        answers={
            HTTPStatus.OK: Answer(
                description="A page that loads nothing and runs nothing.",
                content=PAGE,
                headers=("Content-Security-Policy",),
            )
        },
        refusals=(NotFoundError,),
    ),
    Operation(
        path="/health/live",
        id="isLive",
        tag="Health",
        summary="Return whether the process lives; touches nothing.",
        answers={
            HTTPStatus.OK: Answer(description="It lives.", content=_json(HealthSchema))
        },
    ),
    Operation(
        path="/health/ready",
        id="isReady",
        tag="Health",
        summary="Return whether exports can be served; asks the database.",
        answers={
            HTTPStatus.OK: Answer(
                description="The database answers and is migrated.",
                content=_json(HealthSchema),
            )
        },
        refusals=(DatabaseUnavailableError,),
    ),
)
"""What is not an export."""
