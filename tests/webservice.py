"""The application behind its WSGI door, and tokens for it."""

import re
import secrets
from datetime import timedelta
from functools import cache
from importlib.metadata import distribution
from typing import Any, TypedDict, Unpack
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from promptlooper_export.auth.issuing import issue
from promptlooper_export.plugin import ENTRY_POINT_GROUP
from promptlooper_export.registry import build
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.settings import Settings, load
from promptlooper_export.web import problems
from promptlooper_export.web.app import create_app
from promptlooper_export.web.reference.openapi import openapi

SECRET = secrets.token_hex(32)

_MOMENT = re.compile(
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(Z| UTC)?"
    rb"|\b\d{1,2} \w{3} \d{4}, \d\d:\d\d UTC"  # as people write it
)
_INSTANCE = re.compile(rb"urn:request:[A-Za-z0-9._-]+")


def settings_for(url: str, **others: str) -> Settings:
    """Return settings with a good secret; `others` are variables without the prefix."""
    rows = {"DATABASE_URL": url, "JWT_SECRET_KEY": SECRET, **others}
    return load({f"PROMPTLOOPER_{name}": value for name, value in rows.items()})


class Claims(TypedDict, total=False):
    """What a token may hold, under the names of issue()."""

    subject: str
    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    experiments: tuple[UUID, ...]


def bearer(settings: Settings, **claims: Unpack[Claims]) -> dict[str, str]:
    """Return the header field with a token that is valid for an hour."""
    claims.setdefault("subject", "alice")
    token = issue(settings, expires=timedelta(hours=1), **claims)
    return {"Authorization": f"Bearer {token}"}


@cache
def described() -> dict[str, Any]:
    """Return the resources that OpenAPI describes, those of built-in formats alone."""
    points = distribution("promptlooper-export").entry_points
    found = build(points.select(group=ENTRY_POINT_GROUP), sandbox=Sandbox())
    paths: dict[str, Any] = openapi(found)["paths"]
    return paths


class CheckingClient(FlaskClient):
    """A client that fails where a view answers a problem that OpenAPI does not list."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:  # noqa: ANN401  Flask's
        """Send a request and check what comes back."""
        response = super().open(*args, **kwargs)
        if response.mimetype == problems.MEDIA_TYPE and response.data:
            self._check(response)
        return response

    def _check(self, response: TestResponse) -> None:
        slug = response.get_json()["type"].removeprefix("about:").rpartition("/")[2]
        try:
            rule, _ = self.application.url_map.bind_to_environ(
                response.request.environ
            ).match(return_rule=True)
        except HTTPException:  # the router's answer, which is of no view
            return
        method = response.request.method.lower().replace("head", "get")
        path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        if path not in described():  # a route of the test's own
            return
        answers = described()[path][method]["responses"]
        listed = answers[str(response.status_code)]["content"][problems.MEDIA_TYPE]
        assert slug in listed["examples"], f"{path} answers {slug}; OpenAPI lacks it"


class Templates(BytecodeCache):
    """What one application has compiled, for all others of this process."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill a template from what was kept; Jinja checks that it is of that text."""
        if code := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = Templates()


class Service:
    """An application and a client who has a token for it."""

    def __init__(self, settings: Settings, *, app: Flask | None = None) -> None:
        self.settings = settings
        self.app = app or create_app(settings)
        self.app.jinja_env.bytecode_cache = TEMPLATES
        self.app.test_client_class = CheckingClient
        self.client = self.app.test_client()

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **claims: Unpack[Claims],
    ) -> TestResponse:
        """Send a request with a token of these claims; `headers` come on top."""
        sent = bearer(self.settings, **claims) | (headers or {})
        return self.client.open(path, method=method, headers=sent)


def without_clock(body: bytes) -> bytes:
    """Blank out every moment, so that exports of different moments compare."""
    return _MOMENT.sub(b"MOMENT", body)


def without_instance(body: bytes) -> bytes:
    """Blank out the request id of a problem document."""
    return _INSTANCE.sub(b"INSTANCE", body)


def problem(response: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """Check that an answer is this problem, and return the document."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.get_json()
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == f"urn:request:{response.headers['X-Request-ID']}"
    return document
