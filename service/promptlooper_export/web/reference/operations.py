"""The resources of the service in OpenAPI: one row for each route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from marshmallow import Schema

from promptlooper_export.errors import (
    InternalError,
    InvalidParameterError,
    NotFoundError,
    ProblemError,
)
from promptlooper_export.web import experiments, health, session
from promptlooper_export.web.problems import PROBLEMS
from promptlooper_export.web.reference import json_schema
from promptlooper_export.web.reference.schemas import (
    SCHEMAS,
    FormatsSchema,
    HealthSchema,
)

PAGE = {"text/html": {"schema": {"type": "string"}}}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is not an error.

    `content` maps media types to their OpenAPI description; `headers` are those that
    not every answer has.
    """

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of a resource; `path` has its parameters in braces.

    `refusals` are its own problems; every operation may also fail on a bug.
    """

    path: str
    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    method: str = "get"
    parameters: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[type[ProblemError], ...] = ()
    needs_token: bool = False

    @property
    def problems(self) -> dict[int, list[type[ProblemError]]]:
        """The errors, by status."""
        kinds: tuple[type[ProblemError], ...] = (*self.refusals, InternalError)
        grouped: dict[int, list[type[ProblemError]]] = {}
        for kind in kinds:
            grouped.setdefault(kind.status, []).append(kind)
        return dict(sorted(grouped.items()))


NOT_MODIFIED = Answer(
    description="The client already has it: If-None-Match named its tag.",
    headers=("ETag",),
)
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "Tags that the client has; if one is current, the answer is 304.",
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
    """Return the answers of a resource that is tagged by its bytes."""
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
                description="The experiments are there.", headers=("Location", "Link")
            )
        },
    ),
    Operation(
        path="/experiments",
        id="listExperiments",
        tag="Experiments",
        summary="List the experiments that the token may see.",
        description="JSON, or if Accept prefers HTML, a page that also names the "
        "winners.",
        parameters=(
            {"in": "query", "schema": experiments.PageParameters},
            IF_NONE_MATCH,
        ),
        answers=_tagged(
            {**_json(experiments.ExperimentsSchema), **PAGE},
            "A page of experiments.",
            "Content-Security-Policy",
        ),
        refusals=experiments.REFUSALS,
        needs_token=True,
    ),
    Operation(
        path="/experiments/{reference}",
        id="getExperiment",
        tag="Experiments",
        summary="Get one experiment with the URLs of its exports.",
        description="JSON, or if Accept prefers HTML, a page with the verdict on its "
        "winner and every download. A name leads to the id.",
        parameters=(
            {
                "in": "path",
                "name": "reference",
                "required": True,
                "description": "The experiment's id or its whole name.",
                "schema": {"type": "string"},
            },
            IF_NONE_MATCH,
        ),
        answers={
            **_tagged(
                {
                    "application/json": {"schema": experiments.ListedExperimentSchema},
                    **PAGE,
                },
                "The experiment.",
                "Content-Security-Policy",
            ),
            HTTPStatus.SEE_OTHER: Answer(
                description="The experiment of this name, or the list of those that "
                "have it.",
                headers=("Location",),
            ),
        },
        refusals=experiments.REFUSALS_OF_ONE,
        needs_token=True,
    ),
    Operation(
        path="/session",
        id="getSession",
        tag="Sessions of browsers",
        summary="Sign in or out in a browser.",
        parameters=({"in": "query", "schema": session.SessionParameters},),
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
        summary="Sign in: put the token into a cookie.",
        description="For GET and HEAD, the cookie gives the same access as the token "
        "until the token expires. The form on the page sends the token as `token`.",
        answers={
            HTTPStatus.NO_CONTENT: Answer(
                description="The cookie is set.", headers=("Set-Cookie",)
            ),
            HTTPStatus.SEE_OTHER: Answer(
                description="For the form: the cookie is set; continue there.",
                headers=("Location",),
            ),
        },
        refusals=session.REFUSALS,
        needs_token=True,
    ),
    Operation(
        path="/session",
        method="delete",
        id="endSession",
        tag="Sessions of browsers",
        summary="Sign out: remove the cookie; the token itself stays valid.",
        answers={
            HTTPStatus.NO_CONTENT: Answer(
                description="The cookie is removed.", headers=("Set-Cookie",)
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
                description="Every installed format, in the order that breaks ties.",
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
        summary="Describe the service for people.",
        parameters=(IF_NONE_MATCH,),
        answers=_tagged(
            PAGE,
            "A page that loads and runs nothing.",
            "Content-Security-Policy",
        ),
    ),
    Operation(
        path="/schemas/{document}.json",
        id="getSchema",
        tag="About the service",
        summary="Describe a document as JSON Schema 2020-12.",
        parameters=(
            _one_of("document", list(SCHEMAS), "What to describe."),
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
        parameters=(_one_of("slug", list(PROBLEMS), "The end of its `type`."),),
        answers={
            HTTPStatus.OK: Answer(
                description="A page that loads and runs nothing.",
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
        summary="Return whether the process is alive; touches nothing else.",
        answers={
            HTTPStatus.OK: Answer(
                description="It is alive.", content=_json(HealthSchema)
            )
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
        refusals=health.REFUSALS,
    ),
)
"""All operations except the exports."""
